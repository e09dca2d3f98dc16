//! Ctrl-C and its like, which the console sends to all of its processes. They are the command's to answer.

use std::time::Duration;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::core::BOOL;

/// When the console is closed, or the user logs off, the system gives a process a few seconds and ends it then.
const LAST_SECONDS: Duration = Duration::from_secs(60);

/// This process outlives interrupts as long as this is there.
pub struct Outlives;

/// Makes this process outlive the interrupts of its console, unlike its children: that they are to be ignored would be
/// inherited, a handler is not.
pub fn outlive_interrupts() -> Outlives {
    // SAFETY: a function that lives as long as this process, and may be called on any thread.
    unsafe { SetConsoleCtrlHandler(Some(outlive), 1) };
    Outlives
}

impl Drop for Outlives {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { SetConsoleCtrlHandler(Some(outlive), 0) };
    }
}

/// Called on a thread of its own ("HandlerRoutine").
unsafe extern "system" fn outlive(event: u32) -> BOOL {
    if !matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT) {
        // The system ends this process when this returns, but the command is still to be followed. This thread ends with
        // the process, which ends when the command has ended.
        std::thread::sleep(LAST_SECONDS);
    }
    1
}
