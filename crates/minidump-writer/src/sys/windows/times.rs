//! Times as the system counts them.
#![expect(unsafe_code, reason = "calls of the system")]

use crate::snapshot::ThreadTimes;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::time::{SystemTime, UNIX_EPOCH};
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Threading::{GetProcessTimes, GetThreadTimes};

/// 1970-01-01 in units of 100 ns since 1601-01-01, where Windows begins to count.
const UNIX_EPOCH_TICKS: u64 = 116_444_736_000_000_000;

/// Ticks of 100 ns in a microsecond.
const TICKS: u64 = 10;

/// Times of a process, in microseconds; the start counts from 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessTimes {
    pub start_us: u64,
    pub user_us: u64,
    pub kernel_us: u64,
}

impl ProcessTimes {
    /// Those of `process`.
    pub fn of(process: BorrowedHandle<'_>) -> Option<Self> {
        let [mut start, mut end, mut kernel, mut user] = [FILETIME::default(); 4];
        // SAFETY: the handle is open, and the pointers are to variables of the type that the call writes.
        let known = unsafe {
            GetProcessTimes(
                process.as_raw_handle(),
                &raw mut start,
                &raw mut end,
                &raw mut kernel,
                &raw mut user,
            )
        };
        (known != 0).then(|| Self {
            start_us: since_1970(start),
            user_us: ticks(user) / TICKS,
            kernel_us: ticks(kernel) / TICKS,
        })
    }
}

/// Times of `thread`.
pub fn of_thread(thread: BorrowedHandle<'_>) -> Option<ThreadTimes> {
    let [mut start, mut end, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the handle is open, and the pointers are to variables of the type that the call writes.
    let known = unsafe {
        GetThreadTimes(thread.as_raw_handle(), &raw mut start, &raw mut end, &raw mut kernel, &raw mut user)
    };
    (known != 0).then(|| ThreadTimes {
        start_us: since_1970(start),
        user_us: ticks(user) / TICKS,
        kernel_us: ticks(kernel) / TICKS,
    })
}

/// The present, in microseconds since 1970-01-01 00:00 UTC.
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn ticks(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

/// Microseconds; zero for what is before 1970.
fn since_1970(time: FILETIME) -> u64 {
    ticks(time).saturating_sub(UNIX_EPOCH_TICKS) / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_1970() {
        // 2020-01-01 00:00:00 UTC.
        let ticks = 132_223_104_000_000_000_u64;
        let time = FILETIME {
            dwLowDateTime: u32::try_from(ticks & 0xffff_ffff).unwrap(),
            dwHighDateTime: u32::try_from(ticks >> 32).unwrap(),
        };
        assert_eq!(since_1970(time), 1_577_836_800_000_000);
        assert_eq!(since_1970(FILETIME::default()), 0);
    }
}
