//! The minidump as its reader wants it: as bytes in memory. What was opened and checked is read, whatever its path leads to by
//! now, and also where it has none.

use minidump::Minidump;
use std::fs::File;

/// A minidump, mapped.
#[cfg(unix)]
pub type RawDump = minidump::MmapMinidump;

/// A minidump, read whole: to map a file without a name takes a system call that this program does not make.
#[cfg(not(unix))]
pub type RawDump = Minidump<'static, Vec<u8>>;

/// Opens the minidump in `file`.
///
/// # Errors
/// When it is none.
#[cfg(unix)]
pub fn open(file: &File) -> Result<RawDump, minidump::Error> {
    use std::os::fd::AsRawFd as _;
    let folder = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    Minidump::read_path(format!("{folder}/{}", file.as_raw_fd()))
}

/// Opens the minidump in `file`.
///
/// # Errors
/// When it is none.
#[cfg(not(unix))]
pub fn open(mut file: &File) -> Result<RawDump, minidump::Error> {
    use std::io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(|_| minidump::Error::IoError)?;
    Minidump::read(bytes)
}
