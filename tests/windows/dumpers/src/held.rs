//! What this process holds.

use std::io;
use std::mem::size_of;
use std::ptr;
use windows_sys::Win32::Foundation::CloseHandle;
use windows_sys::Win32::System::ProcessStatus::{GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{CreateEventW, GetCurrentProcess};

/// The number of a new handle. The lowest free one is taken, so it grows with what was not closed; that there is a call that counts
/// handles is true of Windows, but Wine's answers zero.
pub fn next_handle() -> usize {
    // SAFETY: an event without name and with default rights; every pointer may be null.
    let event = unsafe { CreateEventW(ptr::null(), 0, 0, ptr::null()) };
    assert!(!event.is_null(), "CreateEventW: {}", io::Error::last_os_error());
    // SAFETY: nobody else has this handle.
    unsafe { CloseHandle(event) };
    event.addr()
}

/// Memory of its own, in bytes.
pub fn memory() -> usize {
    let size = size_of::<PROCESS_MEMORY_COUNTERS>();
    // SAFETY: a structure of numbers, for which zeros are values.
    let mut counters: PROCESS_MEMORY_COUNTERS = unsafe { std::mem::zeroed() };
    let size = u32::try_from(size).unwrap_or_else(|error| panic!("{error}"));
    // SAFETY: the structure has the size that is told.
    let done = unsafe { GetProcessMemoryInfo(GetCurrentProcess(), &raw mut counters, size) };
    assert_ne!(done, 0, "GetProcessMemoryInfo: {}", io::Error::last_os_error());
    counters.PagefileUsage
}
