//! A thread that stands while its process is dumped.

use super::context::Context;
use super::errors::{Error, FailedCall, Subject};
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::FALSE;
use windows_sys::Win32::System::Diagnostics::Debug::GetThreadContext;
use windows_sys::Win32::System::Threading::{
    GetProcessIdOfThread, OpenThread, ResumeThread, SuspendThread, THREAD_GET_CONTEXT,
    THREAD_QUERY_LIMITED_INFORMATION, THREAD_SUSPEND_RESUME,
};

/// A thread, open to be held. Dropping this lets go of it.
#[derive(Debug)]
pub struct HeldThread {
    id: u32,
    handle: OwnedHandle,
    /// Since when it has been held.
    since: Mutex<Option<Instant>>,
}

impl HeldThread {
    /// Opens thread `id` of process `pid`. It runs on.
    pub fn open(id: u32, pid: u32) -> Result<Self, Error> {
        let rights = THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT | THREAD_QUERY_LIMITED_INFORMATION;
        // SAFETY: takes numbers and touches no memory.
        let handle = unsafe { OpenThread(rights, FALSE, id) };
        if handle.is_null() {
            return Err(Error::ThreadOpen(FailedCall::last("OpenThread", Subject::Thread(id))));
        }
        // SAFETY: the handle was just made, and nobody else has it.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        // SAFETY: the handle is open.
        match unsafe { GetProcessIdOfThread(handle.as_raw_handle()) } {
            owner if owner == pid => Ok(Self { id, handle, since: Mutex::new(None) }),
            0 => {
                let error = FailedCall::last("GetProcessIdOfThread", Subject::Thread(id));
                Err(Error::ThreadOpen(error))
            }
            owner => Err(Error::ThreadOpen(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                format!("thread {id} belongs to process {owner}, not to process {pid}"),
            ))),
        }
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Makes it stand, and puts its registers into `context`. Allocates nothing: it may stand in the middle of that.
    pub fn hold(&self, context: &mut Context) -> Result<(), Error> {
        // SAFETY: the handle is open and has the right.
        if unsafe { SuspendThread(self.handle.as_raw_handle()) } == u32::MAX {
            return Err(Error::ThreadSuspend(FailedCall::last("SuspendThread", Subject::Thread(self.id))));
        }
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        // SAFETY: the handle is open and has the right; the structure is whole and aligned. SuspendThread only asks a thread to
        // stand; this call waits until it does.
        if unsafe { GetThreadContext(self.handle.as_raw_handle(), &raw mut context.0) } == FALSE {
            let code = std::io::Error::last_os_error();
            self.release();
            let error = FailedCall::because("GetThreadContext", Subject::Thread(self.id), code);
            return Err(Error::ThreadContext(error));
        }
        Ok(())
    }

    /// Lets go of it, unless that is done.
    pub fn release(&self) {
        self.release_after(Duration::ZERO);
    }

    /// Lets go of it if it has been held for `patience`.
    pub fn release_after(&self, patience: Duration) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_some_and(|since| since.elapsed() >= patience) {
            // SAFETY: the handle is open and has the right; this undoes the one suspension that is ours.
            unsafe { ResumeThread(self.handle.as_raw_handle()) };
            *since = None;
        }
    }
}

impl Drop for HeldThread {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};
    use windows_sys::Win32::System::Threading::GetCurrentThreadId;

    fn parked_thread() -> (u32, Sender<()>) {
        let (tell, told) = channel();
        let (stop, stopped) = channel();
        std::thread::spawn(move || {
            // SAFETY: no preconditions.
            tell.send(unsafe { GetCurrentThreadId() }).unwrap();
            let _ = stopped.recv();
        });
        (told.recv().unwrap(), stop)
    }

    /// How often the thread is suspended.
    fn suspensions(thread: &HeldThread) -> u32 {
        let handle = thread.handle.as_raw_handle();
        // SAFETY: the handle is open; each suspension is undone.
        unsafe {
            let before = SuspendThread(handle);
            assert_eq!(ResumeThread(handle), before + 1);
            before
        }
    }

    #[test]
    fn a_thread_is_held_once_and_let_go_of_once() {
        let (id, _stop) = parked_thread();
        let observer = HeldThread::open(id, std::process::id()).unwrap();
        let held = HeldThread::open(id, std::process::id()).unwrap();
        assert_eq!((held.id(), suspensions(&observer)), (id, 0));
        let mut context = Context::boxed();
        held.hold(&mut context).unwrap();
        assert_ne!(context.instruction_pointer(), 0);
        assert_eq!(suspensions(&observer), 1);
        held.release_after(Duration::from_secs(3600));
        assert_eq!(suspensions(&observer), 1, "it was not held for an hour");
        held.release();
        assert_eq!(suspensions(&observer), 0);
        held.release();
        drop(held);
        assert_eq!(suspensions(&observer), 0);
    }

    #[test]
    fn dropping_lets_go() {
        let (id, _stop) = parked_thread();
        let observer = HeldThread::open(id, std::process::id()).unwrap();
        let held = HeldThread::open(id, std::process::id()).unwrap();
        held.hold(&mut Context::boxed()).unwrap();
        drop(held);
        assert_eq!(suspensions(&observer), 0);
    }

    #[test]
    fn threads_that_are_not_there_or_of_another_process_are_refused() {
        let (id, _stop) = parked_thread();
        let error = HeldThread::open(id, std::process::id() + 4).unwrap_err();
        assert!(matches!(error, Error::ThreadOpen(_)));
        assert!(error.to_string().contains(&format!("belongs to process {}", std::process::id())), "{error}");
        let error = HeldThread::open(0xffff_fff0, std::process::id()).unwrap_err();
        let call = FailedCall::of(&error).unwrap();
        assert_eq!((call.call, call.subject), ("OpenThread", Subject::Thread(0xffff_fff0)));
    }
}
