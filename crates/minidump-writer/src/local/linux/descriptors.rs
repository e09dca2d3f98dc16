//! Descriptors that the helper has inherited and has no use for.
//!
//! As long as it holds them, a pipe that the application closes stays open, and a file that it deletes stays on disk.
#![allow(unsafe_code)]

use libc::{c_int, c_uint};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

/// First descriptor behind standard input, output and error.
const FIRST: RawFd = 3;

/// Closes every descriptor of this process but that of `kept`, and leads standard input, output and error nowhere.
/// Returns `kept`, perhaps under another number.
///
/// To be called in the helper only: nothing else there uses a descriptor.
///
/// # Errors
/// `kept` lies where standard input, output or error belong, and there is no room for it elsewhere.
pub fn close_all_but(kept: UnixStream) -> io::Result<UnixStream> {
    let kept = above_standard_streams(kept)?;
    let number = kept.as_raw_fd();
    let below = number <= FIRST || close_range(FIRST, number - 1);
    if !(below && close_range(number.saturating_add(1), RawFd::MAX)) {
        close_listed(number);
    }
    silence_standard_streams();
    Ok(kept)
}

fn above_standard_streams(socket: UnixStream) -> io::Result<UnixStream> {
    // Duplicates get numbers from `FIRST` on.
    if socket.as_raw_fd() < FIRST { socket.try_clone() } else { Ok(socket) }
}

/// close_range(2), new in Linux 5.9.
fn close_range(first: RawFd, last: RawFd) -> bool {
    let (Ok(first), Ok(last)) = (c_uint::try_from(first), c_uint::try_from(last)) else { return false };
    let flags: c_uint = 0;
    // SAFETY: three numbers. The descriptors belong to values that this process never uses again.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) == 0 }
}

fn close_listed(kept: RawFd) {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<c_int> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number >= FIRST && *number != kept) {
        // SAFETY: as for `close_range`. That of the list itself is closed already, which does no harm.
        unsafe { libc::close(number) };
    }
}

fn silence_standard_streams() {
    let Ok(null) = fs::OpenOptions::new().read(true).write(true).open("/dev/null") else { return };
    for number in 0..FIRST {
        if number != null.as_raw_fd() {
            // SAFETY: `null` is open; the standard streams are not used in this process.
            unsafe { libc::dup2(null.as_raw_fd(), number) };
        }
    }
    if null.as_raw_fd() < FIRST {
        std::mem::forget(null);
    }
}
