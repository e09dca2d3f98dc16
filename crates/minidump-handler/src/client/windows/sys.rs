//! Calls of the crash path, and memory away from the heap. None but [`place`] allocates.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::ptr;
use std::time::Duration;
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE, PAGE_READWRITE, VirtualAlloc};
use windows_sys::Win32::System::SystemInformation::{GetSystemTimeAsFileTime, GetTickCount64};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

pub use crate::windows::thread_id;

/// From 1601 to 1970, in microseconds.
const EPOCH_US: u64 = 11_644_473_600_000_000;

/// Milliseconds of a clock that only goes forward.
pub fn now_ms() -> u64 {
    // SAFETY: it touches nothing.
    unsafe { GetTickCount64() }
}

/// Microseconds since 1970.
pub fn now_us() -> u64 {
    let mut now = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    // SAFETY: the call writes a time there.
    unsafe { GetSystemTimeAsFileTime(&raw mut now) };
    let units = u64::from(now.dwHighDateTime) << 32 | u64::from(now.dwLowDateTime);
    (units / 10).saturating_sub(EPOCH_US)
}

/// The time until `end` of [`now_ms`].
pub fn until(end: u64) -> Duration {
    Duration::from_millis(end.saturating_sub(now_ms()))
}

/// Ends this process at once.
pub fn terminate(code: u32) {
    // SAFETY: the pseudo handle of this process.
    unsafe { TerminateProcess(GetCurrentProcess(), code) };
}

/// Puts a value on pages of its own, where it stays for ever.
pub fn place<T: Send + Sync>(value: T) -> io::Result<&'static T> {
    // SAFETY: new pages, aligned to 64 KiB, which nobody else knows.
    unsafe {
        let room = pages(size_of::<T>())?.cast::<T>();
        ptr::write(room, value);
        Ok(&*room)
    }
}

/// Copies bytes to pages of their own, where they stay for ever.
pub fn place_bytes(bytes: &[u8]) -> io::Result<&'static [u8]> {
    if bytes.is_empty() {
        return Ok(&[]);
    }
    let room = pages(bytes.len())?;
    // SAFETY: new pages, of at least that length, which nobody else knows.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len());
        Ok(std::slice::from_raw_parts(room, bytes.len()))
    }
}

fn pages(bytes: usize) -> io::Result<*mut u8> {
    // SAFETY: the system chooses where.
    let room = unsafe { VirtualAlloc(ptr::null(), bytes.max(1), MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE) };
    if room.is_null() { Err(io::Error::last_os_error()) } else { Ok(room.cast()) }
}
