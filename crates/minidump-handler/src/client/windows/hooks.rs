//! The hooks of exceptions and of the C library's ways to end a program.
#![expect(unsafe_code, reason = "code that runs in a crash")]

use super::crash;
use super::reporter::Crash;
use super::sys;
use crate::protocol::windows::ExceptionAt;
use crash_handler::{CrashEventResult, CrashHandler, make_crash_event};
use std::io;

/// The hooks. They are taken back when this is dropped.
#[derive(Debug)]
pub struct Hooks {
    _handler: Handler,
}

struct Handler(CrashHandler);

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CrashHandler")
    }
}

impl Hooks {
    /// Puts them in. What was there before is called after them.
    pub fn new() -> io::Result<Self> {
        keep_watson();
        // SAFETY: `handle` takes no lock, allocates nothing, and cannot unwind.
        let event = unsafe {
            make_crash_event(|context| {
                let pointers = u64::try_from(context.exception_pointers.addr()).unwrap_or(0);
                let exception = ExceptionAt { pointers, code: context.exception_code.cast_unsigned() };
                crash::handle(Crash { thread: sys::thread_id(), exception });
                // The exception goes on to whoever was there before, so that the program ends as it would have.
                CrashEventResult::Handled(false)
            })
        };
        let handler = CrashHandler::attach(event).map_err(io::Error::other)?;
        Ok(Self { _handler: Handler(handler) })
    }
}

/// The hook of invalid parameters ends the program by this function of Microsoft's C library, with the status that such a
/// program has there. The C library that MinGW links with does not have it.
#[cfg(target_env = "gnu")]
#[unsafe(no_mangle)]
extern "C" fn _invoke_watson() -> ! {
    const STATUS_INVALID_CRUNTIME_PARAMETER: u32 = 0xc000_0417;
    loop {
        sys::terminate(STATUS_INVALID_CRUNTIME_PARAMETER);
    }
}

/// Has the linker keep what nothing but another crate refers to.
#[cfg(target_env = "gnu")]
fn keep_watson() {
    std::hint::black_box(_invoke_watson as extern "C" fn() -> !);
}

#[cfg(not(target_env = "gnu"))]
fn keep_watson() {}
