//! Requests that wait for their turn, and the threads that work at them.

use super::peer::Peer;
use super::socket;
use crate::protocol::{Reply, ReplyKind, Request};
use crate::wake::Waker;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Workers that wait for the next job. A thread that is there already is at it sooner than a new one.
const STANDBY: usize = 1;

/// Whoever waits for an answer.
#[derive(Debug)]
pub struct Asker(pub OwnedFd);

impl Asker {
    /// Answers, if the asker can take it.
    pub fn tell(&self, kind: ReplyKind, text: impl Into<String>) {
        socket::send(self.0.as_raw_fd(), &Reply { kind, text: text.into() }.encode());
    }

    /// Whether nobody waits any more.
    pub fn has_gone(&self) -> bool {
        socket::has_gone(self.0.as_raw_fd())
    }
}

/// A request that was accepted.
#[derive(Debug)]
pub struct Job {
    pub request: Request,
    pub peer: Peer,
    pub asker: Arc<Asker>,
}

/// What is to be done, and being done.
#[derive(Debug)]
pub struct Jobs {
    state: Mutex<State>,
    /// Told of a new job, and of the end.
    changed: Condvar,
    most_waiting: usize,
    most_workers: usize,
    waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Those who wait for an answer of a worker.
    working: Vec<Arc<Asker>>,
    /// All workers, and those that have nothing to do.
    workers: usize,
    idle: usize,
    is_over: bool,
}

impl Jobs {
    pub fn new(most_waiting: usize, most_workers: usize, waker: Arc<Waker>) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { state, changed, most_waiting, most_workers: most_workers.max(1), waker }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job. Whether there are not too many: of one user no more than half, unless it is the server's.
    pub fn add(&self, job: Job, is_own: bool) -> bool {
        let mut state = self.lock();
        let user = job.peer.sender.uid;
        let of_user = state.waiting.iter().filter(|other| other.peer.sender.uid == user).count();
        let is_greedy = !is_own && of_user >= self.most_waiting / 2;
        if state.waiting.len() >= self.most_waiting || is_greedy {
            return false;
        }
        state.waiting.push_back(job);
        self.changed.notify_one();
        true
    }

    /// Whether anything waits or is being worked at.
    pub fn is_busy(&self) -> bool {
        let state = self.lock();
        !state.waiting.is_empty() || !state.working.is_empty()
    }

    /// Until what this returns is dropped, workers may wait for jobs.
    pub fn open(&self) -> impl Drop + '_ {
        Open(self)
    }

    /// Tells all who wait that they are not forgotten.
    pub fn reassure(&self) {
        let askers: Vec<_> = {
            let state = self.lock();
            state.waiting.iter().map(|job| &job.asker).chain(&state.working).cloned().collect()
        };
        for asker in askers {
            asker.tell(ReplyKind::Waiting, "");
        }
    }

    /// Starts workers, as many as there is work for and the limit allows, and those that stand by. `work` does one job.
    pub fn start<'s>(
        self: &Arc<Self>,
        scope: &'s std::thread::Scope<'s, '_>,
        work: &'s (dyn Fn(Job) + Send + Sync),
    ) {
        while self.wants_worker() {
            let worker = Worker(Arc::clone(self));
            let thread = std::thread::Builder::new().name("dumper".into());
            // Dropped with what it was to run, a worker is off the count again.
            if let Err(error) = thread.spawn_scoped(scope, move || worker.run(work)) {
                let Some(job) = self.lock().waiting.pop_front() else { return };
                job.asker.tell(ReplyKind::Failed, format!("no thread can be made for the dump: {error}"));
            }
        }
    }

    /// Counts one more worker, if there is work for it.
    fn wants_worker(&self) -> bool {
        let mut state = self.lock();
        let is_wanted = state.workers < self.most_workers
            && state.workers < state.waiting.len().saturating_add(state.working.len()).max(STANDBY);
        state.workers = state.workers.saturating_add(usize::from(is_wanted));
        is_wanted
    }
}

/// A thread that works. Its end, however it comes, is counted.
struct Worker(Arc<Jobs>);

impl Worker {
    fn run(&self, work: &(dyn Fn(Job) + Send + Sync)) {
        while let Some(job) = self.next() {
            let asker = Arc::clone(&job.asker);
            let _working = Working { jobs: &self.0, asker };
            work(job);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.0.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                state.working.push(Arc::clone(&job.asker));
                return Some(job);
            }
            if state.is_over || state.idle >= STANDBY {
                return None;
            }
            state.idle = state.idle.saturating_add(1);
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle = state.idle.saturating_sub(1);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.workers = state.workers.saturating_sub(1);
        drop(state);
        // One that could not be started is no reason to look again at once.
        if std::thread::panicking() {
            self.0.waker.wake();
        }
    }
}

struct Working<'j> {
    jobs: &'j Jobs,
    asker: Arc<Asker>,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.jobs.lock().working.retain(|other| !Arc::ptr_eq(other, &self.asker));
        self.jobs.waker.wake();
    }
}

/// The time in which workers wait for jobs.
struct Open<'j>(&'j Jobs);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_stands_by_and_ends_when_all_is_over() {
        let jobs = Arc::new(Jobs::new(1, 4, Arc::new(Waker::new().unwrap())));
        let work = |_: Job| {};
        std::thread::scope(|scope| {
            let open = jobs.open();
            jobs.start(scope, &work);
            while jobs.lock().idle == 0 {
                std::thread::yield_now();
            }
            jobs.start(scope, &work);
            assert_eq!(jobs.lock().workers, STANDBY);
            assert!(!jobs.is_busy());
            drop(open);
        });
        assert_eq!(jobs.lock().workers, 0);
    }
}
