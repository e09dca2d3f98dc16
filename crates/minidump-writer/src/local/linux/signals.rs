//! The signal mask of the calling thread, for the time of the fork.
#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;

/// All signals are blocked in the calling thread until this is dropped.
pub struct Blocked {
    previous: libc::sigset_t,
    /// The mask is the thread's, so this stays on it.
    thread_bound: PhantomData<*const ()>,
}

impl Blocked {
    /// Blocks every signal that can be blocked.
    pub fn all() -> io::Result<Self> {
        // SAFETY: sigset_t is plain data; both sets live through the calls, which fill them.
        let (error, previous) = unsafe {
            let mut every: libc::sigset_t = std::mem::zeroed();
            let mut previous: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut every);
            let error = libc::pthread_sigmask(libc::SIG_SETMASK, &raw const every, &raw mut previous);
            (error, previous)
        };
        if error == 0 {
            Ok(Self { previous, thread_bound: PhantomData })
        } else {
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: `previous` was filled by pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.previous, std::ptr::null_mut()) };
    }
}

/// Makes abort(3) end this process without a handler of the application: it unblocks its signal before it raises it.
pub fn abort_plainly() {
    // SAFETY: SIG_DFL is a valid disposition. Called in the helper, whose dispositions are its own.
    unsafe { libc::signal(libc::SIGABRT, libc::SIG_DFL) };
}
