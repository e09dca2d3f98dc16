//! Functions in C around `minidump_handler::mach`, which `tests/apple-emulator` executes. Elsewhere than on macOS there are
//! none.
#![cfg(target_os = "macos")]
#![expect(unsafe_code, reason = "functions in C")]

mod client;
mod handler;
mod outcome;

use std::ffi::{CStr, c_char};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd as _;
use std::os::unix::net::UnixStream;

/// The connection with this descriptor, which stays open.
///
/// # Safety
/// It is open, and the caller's, until the result is not used any more.
unsafe fn connection(descriptor: i32) -> ManuallyDrop<UnixStream> {
    // SAFETY: the caller's promise; it is not closed.
    ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(descriptor) })
}

/// A text of the caller's.
///
/// # Safety
/// It ends with a zero, and stays as long as the result.
unsafe fn text<'t>(text: *const c_char) -> &'t str {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default()
}
