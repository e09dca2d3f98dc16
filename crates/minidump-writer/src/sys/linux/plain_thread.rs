//! A thread without the standard library's bookkeeping.
//!
//! `std::thread` enters each thread, as it starts and as it ends, into a table behind a lock of the process, for its
//! message about stack overflows, and may read the environment, behind another lock. In a process made by fork, as the
//! helper of a local dump is, a lock that some other thread held at that moment stays locked for ever. The locks of
//! pthread_create(3) are put right by fork(2).
#![allow(unsafe_code)]

use libc::{c_void, pthread_t};
use std::ffi::CStr;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// musl's own default is 128 KiB. From 2 MiB on, some systems would back it with a huge page.
const STACK_SIZE: usize = 1 << 20;

/// What the thread is to do. Two boxes, as one fits no thin pointer.
type Work = Box<dyn FnOnce() + Send>;

/// A running thread. Dropping this lets it run on.
#[derive(Debug)]
pub struct PlainThread<T> {
    thread: Option<pthread_t>,
    result: Arc<Mutex<Option<T>>>,
}

impl<T: Send + 'static> PlainThread<T> {
    /// Starts a thread. `name` has at most 15 bytes.
    ///
    /// # Errors
    /// There is no room for one; `work` is dropped then.
    pub fn spawn<W>(name: &'static CStr, work: W) -> io::Result<Self>
    where
        W: FnOnce() -> T + Send + 'static,
    {
        let result = Arc::new(Mutex::new(None));
        let its_result = Arc::clone(&result);
        let work: Work = Box::new(move || {
            set_name(name);
            // A panic must not leave the thread: the frames below are not Rust's.
            if let Ok(found) = catch_unwind(AssertUnwindSafe(work)) {
                *its_result.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            }
        });
        Ok(Self { thread: Some(start(work)?), result })
    }

    /// Waits for the end of the thread. `None` when it panicked.
    pub fn join(mut self) -> Option<T> {
        if let Some(thread) = self.thread.take() {
            // SAFETY: the thread is joinable, and this was the only way to it.
            unsafe { libc::pthread_join(thread, std::ptr::null_mut()) };
        }
        self.result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Drop for PlainThread<T> {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // SAFETY: the thread is joinable, and this was the only way to it.
            unsafe { libc::pthread_detach(thread) };
        }
    }
}

fn start(work: Work) -> io::Result<pthread_t> {
    // SAFETY: plain data, filled by pthread_attr_init before it is used.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    let argument = Box::into_raw(Box::new(work));
    // SAFETY: plain data (a number or a pointer, by C library), filled by pthread_create before it is used.
    let mut thread: pthread_t = unsafe { std::mem::zeroed() };
    // SAFETY: `attributes` and `thread` live through the calls; `entry` takes what `argument` is, and becomes its
    // owner when the thread was made.
    let error = unsafe {
        match libc::pthread_attr_init(&raw mut attributes) {
            0 => {
                libc::pthread_attr_setstacksize(&raw mut attributes, STACK_SIZE);
                let error = libc::pthread_create(
                    &raw mut thread,
                    &raw const attributes,
                    entry,
                    argument.cast::<c_void>(),
                );
                libc::pthread_attr_destroy(&raw mut attributes);
                error
            }
            error => error,
        }
    };
    if error == 0 {
        return Ok(thread);
    }
    // SAFETY: no thread was made, so this is still the only owner.
    drop(unsafe { Box::from_raw(argument) });
    Err(io::Error::from_raw_os_error(error))
}

extern "C" fn entry(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `start` hands over the box that it made, once.
    let work = unsafe { Box::from_raw(argument.cast::<Work>()) };
    work();
    std::ptr::null_mut()
}

fn set_name(name: &CStr) {
    // SAFETY: `name` ends with a zero byte; the kernel takes at most 16 bytes of it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_work_returns_comes_out_of_join() {
        let thread = PlainThread::spawn(c"plain", || std::fs::read_to_string("/proc/thread-self/comm"));
        assert_eq!(thread.unwrap().join().unwrap().unwrap(), "plain\n");
    }

    #[test]
    fn a_panic_ends_the_thread_and_nothing_else() {
        let thread = PlainThread::spawn(c"panics", || std::panic::resume_unwind(Box::new(()))).unwrap();
        let result: Option<()> = thread.join();
        assert_eq!(result, None);
    }

    #[test]
    fn a_dropped_thread_runs_on() {
        let (send, receive) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        drop(PlainThread::spawn(c"dropped", move || {
            let _ = wait.recv();
            let _ = send.send(7);
        }));
        drop(go);
        assert_eq!(receive.recv(), Ok(7));
    }
}
