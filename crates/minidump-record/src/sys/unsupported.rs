//! Where there is no back end yet: compiles, and every call fails.

use super::Errno;

/// Whether this back end can record.
pub(crate) const SUPPORTED: bool = false;

pub(crate) fn open_at(_directory: i32, _path: &[u8], _is_directory: bool) -> Result<i32, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn close(_fd: i32) {}

pub(crate) fn read(_fd: i32, _buffer: &mut [u8]) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn pread(_fd: i32, _buffer: &mut [u8], _offset: u64) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn pwrite(_fd: i32, _bytes: &[u8], _offset: u64) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn truncate(_fd: i32, _size: u64) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn read_entries(_fd: i32, _buffer: &mut [u8]) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn identity(_fd: i32) -> Result<(u64, u64), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn read_memory(_tid: i32, _address: u64, _buffer: &mut [u8]) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn process_id() -> i32 {
    0
}

pub(crate) fn thread_id() -> i32 {
    0
}

pub(crate) fn now() -> u64 {
    0
}

pub(crate) fn file_size_limit() -> u64 {
    0
}

pub(crate) fn thread_pointer() -> Option<u64> {
    None
}

pub(crate) fn yield_now() {
    core::hint::spin_loop();
}

pub(crate) fn uname(_name: &mut [u8; 390]) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn affinity_count() -> u32 {
    0
}

pub(crate) fn processor() -> [u32; 6] {
    [0; 6]
}
