//! Starts the command, debugged from its first instruction on.

use std::ffi::OsString;
use std::io;
use std::os::windows::io::{FromRawHandle as _, OwnedHandle};
use std::os::windows::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle,
};
use windows_sys::Win32::System::Threading::DEBUG_PROCESS;

/// A command that has been started.
#[derive(Debug)]
pub struct Started(Child);

impl Started {
    /// The process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }
}

/// Starts `command`, a program and its arguments. The calling thread debugs it and all that it starts.
pub fn start(command: &[OsString]) -> io::Result<Started> {
    let [program, arguments @ ..] = command else { return Err(io::ErrorKind::InvalidInput.into()) };
    Command::new(program).args(arguments).creation_flags(DEBUG_PROCESS).spawn().map(Started)
}

/// Gives up the standard input and output, which the command has its own handles of: who waits for the end of a pipe is to
/// see it when the command has closed its own, and not when the supervisor ends.
pub fn give_up_files() {
    let kept = standard(STD_ERROR_HANDLE);
    let mut given_up = Vec::new();
    for which in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE] {
        let Some(handle) = standard(which) else { continue };
        // SAFETY: plain numbers; from here on nobody finds the handle.
        unsafe { SetStdHandle(which, null_mut()) };
        if Some(handle) != kept && !given_up.contains(&handle) {
            given_up.push(handle);
        }
    }
    for handle in given_up {
        // SAFETY: this process was started with the handle, which is no longer to be found, and is closed once.
        drop(unsafe { OwnedHandle::from_raw_handle(handle) });
    }
}

fn standard(which: STD_HANDLE) -> Option<HANDLE> {
    // SAFETY: a plain number.
    let handle = unsafe { GetStdHandle(which) };
    Some(handle).filter(|handle| !handle.is_null() && *handle != INVALID_HANDLE_VALUE)
}
