//! The calls of a debugger, each as one safe function. All act for the calling thread. Source: "Debugging Functions".

use std::io;
use std::mem::MaybeUninit;
use std::os::windows::io::{FromRawHandle as _, OwnedHandle};
use std::sync::OnceLock;
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    DBG_CONTINUE, DBG_EXCEPTION_NOT_HANDLED, ERROR_SEM_TIMEOUT, HANDLE, INVALID_HANDLE_VALUE, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    CREATE_PROCESS_DEBUG_EVENT, ContinueDebugEvent, DEBUG_EVENT, DebugActiveProcessStop,
    DebugSetProcessKillOnExit, EXCEPTION_DEBUG_EVENT, EXCEPTION_RECORD, EXIT_PROCESS_DEBUG_EVENT,
    LOAD_DLL_DEBUG_EVENT, OUTPUT_DEBUG_STRING_EVENT, WaitForDebugEvent,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::core::BOOL;

/// What has happened. All threads of the process stand until [`go_on`].
pub struct Told {
    /// The process.
    pub pid: u32,
    /// The thread that it has happened to.
    pub tid: u32,
    /// What.
    pub event: Event,
}

/// What can happen.
pub enum Event {
    /// A process has been made. None of its code has run yet.
    ProcessStarted {
        /// The system closes it when the end of the process has been answered.
        handle: HANDLE,
    },
    /// A process has ended.
    ProcessEnded {
        /// Its exit code.
        code: u32,
    },
    /// An exception.
    Exception {
        /// What.
        record: Box<EXCEPTION_RECORD>,
        /// The program does not handle it, and ends if the debugger does not, either.
        is_last_chance: bool,
    },
    /// A text by `OutputDebugString`.
    Text,
    /// A thread or a library has come or gone, or something that concerns nobody here.
    Other,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is done with.
    GoOn,
    /// It goes the way that it would go without a debugger.
    NotHandled,
}

type Wait = unsafe extern "system" fn(*mut DEBUG_EVENT, u32) -> BOOL;

/// `WaitForDebugEventEx`, which tells texts in UTF-16 as they are, where there is one (Windows 10).
fn wait_function() -> Wait {
    static FOUND: OnceLock<Wait> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: two NUL-terminated names; kernel32.dll is never unloaded.
        let found = unsafe {
            GetProcAddress(
                GetModuleHandleA(c"kernel32.dll".as_ptr().cast()),
                c"WaitForDebugEventEx".as_ptr().cast(),
            )
        };
        // SAFETY: the function of that name takes and returns what `Wait` says (debugapi.h).
        found.map_or(WaitForDebugEvent as Wait, |found| unsafe {
            std::mem::transmute::<unsafe extern "system" fn() -> isize, Wait>(found)
        })
    })
}

/// Waits until something happens to a process that the calling thread debugs; `None` when nothing has within `limit`.
pub fn wait(limit: Duration) -> io::Result<Option<Told>> {
    let mut event = MaybeUninit::<DEBUG_EVENT>::zeroed();
    let milliseconds = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX - 1);
    // SAFETY: `event` is live and large enough.
    if unsafe { wait_function()(event.as_mut_ptr(), milliseconds) } == 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error().map(i32::cast_unsigned) {
            Some(ERROR_SEM_TIMEOUT | WAIT_TIMEOUT) => Ok(None),
            _ => Err(error),
        };
    }
    // SAFETY: zeros are a valid DEBUG_EVENT, and the call has only put a valid one over them.
    let event = unsafe { event.assume_init() };
    Ok(Some(Told { pid: event.dwProcessId, tid: event.dwThreadId, event: understood(&event) }))
}

fn understood(event: &DEBUG_EVENT) -> Event {
    // SAFETY of all below: the code tells which member of the union the system has filled.
    match event.dwDebugEventCode {
        CREATE_PROCESS_DEBUG_EVENT => {
            // SAFETY: see above.
            let info = unsafe { event.u.CreateProcessInfo };
            close(info.hFile);
            Event::ProcessStarted { handle: info.hProcess }
        }
        LOAD_DLL_DEBUG_EVENT => {
            // SAFETY: see above.
            close(unsafe { event.u.LoadDll }.hFile);
            Event::Other
        }
        // SAFETY: see above.
        EXIT_PROCESS_DEBUG_EVENT => Event::ProcessEnded { code: unsafe { event.u.ExitProcess }.dwExitCode },
        EXCEPTION_DEBUG_EVENT => {
            // SAFETY: see above.
            let info = unsafe { event.u.Exception };
            Event::Exception {
                record: Box::new(info.ExceptionRecord),
                is_last_chance: info.dwFirstChance == 0,
            }
        }
        OUTPUT_DEBUG_STRING_EVENT => Event::Text,
        _ => Event::Other,
    }
}

/// Closes the handle of a file that came with an event. It is the debugger's to close, where there is one.
fn close(file: HANDLE) {
    if !file.is_null() && file != INVALID_HANDLE_VALUE {
        // SAFETY: the system has made this handle for the debugger, and nothing else owns it.
        drop(unsafe { OwnedHandle::from_raw_handle(file) });
    }
}

/// Lets the process run on after an event of this thread.
pub fn go_on(pid: u32, tid: u32, answer: Answer) -> io::Result<()> {
    let status = match answer {
        Answer::GoOn => DBG_CONTINUE,
        Answer::NotHandled => DBG_EXCEPTION_NOT_HANDLED,
    };
    // SAFETY: plain numbers.
    if unsafe { ContinueDebugEvent(pid, tid, status) } == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Debugs the process no longer. It runs on.
pub fn let_go(pid: u32) {
    // SAFETY: a plain number. A process that has ended meanwhile is no failure.
    unsafe { DebugActiveProcessStop(pid) };
}

/// Processes are to run on when their debugger ends, rather than end with it. Holds for those of the calling thread, which
/// must have one.
pub fn leave_running_at_exit() {
    // SAFETY: a plain number. Where it fails all else works, too.
    unsafe { DebugSetProcessKillOnExit(0) };
}
