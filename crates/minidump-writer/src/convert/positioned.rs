//! Reading a file at a place, as each system does it.

use std::fs::File;
use std::io;

/// Reads at `offset` into `buffer`: once, as much as the system gives.
#[cfg(unix)]
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

/// Reads at `offset` into `buffer`: once, as much as the system gives. Moves the file's own position, which nobody here uses.
#[cfg(windows)]
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}
