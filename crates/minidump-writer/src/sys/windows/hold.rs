//! What makes a process stand still, and lets it go.
//!
//! The way that is preferred is to debug it: the system suspends all threads while it makes the events that tell a new
//! debugger of them, and lets them go when the process is no longer debugged. When the dumper dies, the last handle of
//! its debug object is closed, and the system does the same: so nothing that happens to the dumper leaves the process
//! suspended. DebugActiveProcess would besides create a thread in the process, and have it killed with the dumper; so the
//! calls below it are used, which do neither. The events are never waited for.
//!
//! A process has one debugger at most. Where there is one, or where the system refuses, the threads are suspended one by
//! one. These counts outlive a dumper that is killed, which the dump says.
#![expect(unsafe_code, reason = "calls of the system")]

use super::ntdll::{self, Status};
use super::open::Target;
use super::threads::Threads;
use crate::Error;
use crate::snapshot::{SoftError, Stage};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};
use std::sync::Arc;
use std::time::Instant;
use windows_sys::Win32::Foundation::STATUS_ACCESS_DENIED;
use windows_sys::Win32::System::Threading::{ResumeThread, SuspendThread};

/// How often new threads are looked for: whoever starts threads faster than they are stopped has some running.
const MOST_ROUNDS: usize = 64;

/// A process that stands still until this is dropped.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "held for its drop")] Kind);

#[derive(Debug)]
#[expect(dead_code, reason = "held for their drops")]
enum Kind {
    Debugged(Debugged),
    Suspended(Suspended),
    /// Its debugger stops it.
    Lent,
}

impl Hold {
    /// Of a process that the caller stops.
    pub fn lent() -> Self {
        Self(Kind::Lent)
    }

    /// Makes `target` stand still, and adds its threads to `threads`, which is empty.
    pub fn of(
        target: &Target,
        threads: &mut Threads,
        deadline: Instant,
        errors: &mut Vec<SoftError>,
    ) -> Result<Self, Error> {
        let refused = |source: io::Error| Error::Stop { pid: target.pid, source };
        match Debugged::attach(target) {
            Ok(hold) => {
                find_all(target, threads, deadline).map_err(refused)?;
                Ok(Self(Kind::Debugged(hold)))
            }
            Err(status) => {
                errors.push(why_suspended(status));
                Suspended::all(target, threads, deadline)
                    .map(|hold| Self(Kind::Suspended(hold)))
                    .map_err(refused)
            }
        }
    }
}

/// Looks for threads until there is no new one.
fn find_all(target: &Target, threads: &mut Threads, deadline: Instant) -> io::Result<()> {
    for _ in 0..MOST_ROUNDS {
        if threads.find_new(target.handle(), target.id, false)? == 0 || Instant::now() >= deadline {
            break;
        }
    }
    Ok(())
}

fn why_suspended(status: Status) -> SoftError {
    let message = "the process could not be held by debugging it, as when another debugger has it; its threads were \
                   suspended one by one";
    SoftError::new(Stage::StopThread, message).os_error(Some(status.os_error()))
}

/// A process that is debugged.
#[derive(Debug)]
struct Debugged {
    process: Arc<OwnedHandle>,
    object: OwnedHandle,
}

impl Debugged {
    fn attach(target: &Target) -> Result<Self, Status> {
        let object = ntdll::create_debug_object()?;
        let process = Arc::clone(&target.process);
        match ntdll::debug_active_process(process.as_handle(), object.as_handle()) {
            // Windows asks for PROCESS_SUSPEND_RESUME alone, Wine for the right to write memory too.
            Err(Status(STATUS_ACCESS_DENIED)) => Self::attach_to_writable(target, object),
            attached => attached.map(|()| Self { process, object }),
        }
    }

    fn attach_to_writable(target: &Target, object: OwnedHandle) -> Result<Self, Status> {
        let process = target.to_debug().ok_or(Status(STATUS_ACCESS_DENIED))?;
        ntdll::debug_active_process(process.as_handle(), object.as_handle())?;
        Ok(Self { process: Arc::new(process), object })
    }
}

impl Drop for Debugged {
    fn drop(&mut self) {
        // Should this fail, because the process has ended, closing the object does the same.
        let _ = ntdll::remove_process_debug(self.process.as_handle(), self.object.as_handle());
    }
}

/// Threads that were suspended once each.
#[derive(Debug, Default)]
struct Suspended(Vec<Arc<OwnedHandle>>);

impl Suspended {
    fn all(target: &Target, threads: &mut Threads, deadline: Instant) -> io::Result<Self> {
        let mut suspended = Self::default();
        let mut next = 0;
        for _ in 0..MOST_ROUNDS {
            let found = threads.find_new(target.handle(), target.id, true)?;
            for thread in threads.list().iter().skip(next) {
                suspended.suspend(&thread.handle);
            }
            next += found;
            if found == 0 || Instant::now() >= deadline {
                break;
            }
        }
        Ok(suspended)
    }

    /// A thread that cannot be suspended has ended, or is ending.
    fn suspend(&mut self, thread: &Arc<OwnedHandle>) {
        // SAFETY: the handle is open.
        let count = unsafe { SuspendThread(thread.as_raw_handle()) };
        if count != u32::MAX {
            self.0.push(Arc::clone(thread));
        }
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        for thread in self.0.iter().rev() {
            // SAFETY: the handle is open, and the thread was suspended once by this value.
            unsafe { ResumeThread(thread.as_raw_handle()) };
        }
    }
}
