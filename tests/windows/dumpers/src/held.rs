//! What this process holds.

use std::io;
use std::mem::size_of;
use windows_sys::Win32::System::ProcessStatus::{GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};

/// Open handles.
pub fn handles() -> u32 {
    let mut count = 0;
    // SAFETY: the pseudo-handle is always valid; the count is written to a local.
    let done = unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut count) };
    assert_ne!(done, 0, "GetProcessHandleCount: {}", io::Error::last_os_error());
    count
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
