use super::super::plain_thread::PlainThread;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Something to do.
pub type Job = Box<dyn FnOnce() + Send>;

/// A thread that does one job after the other. It is started by the first, and ends after the last.
#[derive(Debug, Default)]
pub struct Worker {
    desk: Mutex<Option<Arc<Desk>>>,
}

/// Where jobs are handed over.
#[derive(Default)]
struct Desk {
    orders: Mutex<Orders>,
    changed: Condvar,
}

/// What the thread is to do.
#[derive(Default)]
struct Orders {
    jobs: Vec<Job>,
    closed: bool,
}

impl Worker {
    /// Has `job` done as soon as those before it are.
    ///
    /// # Errors
    /// There is no thread yet and no room for one; `job` is dropped then.
    pub fn give(&self, job: Job) -> io::Result<()> {
        let mut place = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = &*place {
            desk.orders().jobs.insert(0, job);
            desk.changed.notify_one();
            return Ok(());
        }
        let desk = Arc::new(Desk {
            orders: Mutex::new(Orders { jobs: vec![job], closed: false }),
            ..Desk::default()
        });
        let thread = Arc::clone(&desk);
        PlainThread::spawn(c"target-file", move || thread.serve())?;
        *place = Some(desk);
        Ok(())
    }
}

impl Drop for Worker {
    /// Lets the thread end when it has done its job, however long that takes it.
    fn drop(&mut self) {
        let place = self.desk.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = place.take() {
            desk.orders().closed = true;
            desk.changed.notify_one();
        }
    }
}

impl Desk {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    /// Waits for a job. `None` when there will be none.
    fn next(&self) -> Option<Job> {
        let mut orders = self.orders();
        loop {
            if let Some(job) = orders.jobs.pop() {
                return Some(job);
            }
            if orders.closed {
                return None;
            }
            orders = self.changed.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Desk").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Id of the thread that a job runs on.
    fn own_tid() -> libc::pid_t {
        // SAFETY: gettid(2) has no arguments and cannot fail.
        unsafe { libc::gettid() }
    }

    #[test]
    fn all_jobs_are_done_in_order_by_one_other_thread() {
        let worker = Worker::default();
        let (send, receive) = mpsc::channel();
        for number in 0..5 {
            let send = send.clone();
            worker
                .give(Box::new(move || send.send((number, own_tid())).unwrap_or_default()))
                .expect("a thread");
        }
        let done: Vec<_> = (0..5).map(|_| receive.recv().expect("done")).collect();
        let numbers: Vec<_> = done.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        assert!(done.iter().all(|(_, tid)| *tid == done[0].1 && *tid != own_tid()));
    }

    #[test]
    fn a_dropped_worker_ends_after_its_jobs() {
        let (send, receive) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let worker = Worker::default();
        let first = send.clone();
        let job = move || {
            let _ = wait.recv();
            let _ = first.send("first");
        };
        worker.give(Box::new(job)).expect("a thread");
        worker.give(Box::new(move || send.send("second").unwrap_or_default())).expect("a thread");
        drop(worker);
        drop(go);
        let said: Vec<_> = receive.iter().collect();
        assert_eq!(said, ["first", "second"]);
    }
}
