//! Registers of a thread that stands still.
#![expect(unsafe_code, reason = "calls of the system")]

use super::{Context, native};
use crate::snapshot::CpuState;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use windows_sys::Win32::System::Diagnostics::Debug::{CONTEXT, GetThreadContext};

const _: () = assert!(size_of::<native::Context>() == size_of::<CONTEXT>());

/// The registers of `thread`, whose environment block is at `teb`.
pub fn read(thread: BorrowedHandle<'_>, teb: u64) -> io::Result<CpuState> {
    let mut context = native::Context::empty();
    context.ask(native::Context::ALL);
    // SAFETY: the handle is open, and the pointer is to a structure of this size and alignment, all of whose bytes are set.
    let done = unsafe { GetThreadContext(thread.as_raw_handle(), (&raw mut context).cast::<CONTEXT>()) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(context.decode(teb)) }
}
