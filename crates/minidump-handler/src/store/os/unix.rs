//! Modes, flock(2), inode numbers.
#![expect(unsafe_code, reason = "flock, which the standard library has only since Rust 1.89")]

use super::Lock;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Makes the directory, readable by its owner alone.
pub(in crate::store) fn create_private_directory(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

/// Options for files that only their owner may read, where a symbolic link is an error and a FIFO does not wait.
pub(in crate::store) fn careful() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

/// Makes a file that only its owner may read; the name must be free.
pub(in crate::store) fn create_private(path: &Path) -> io::Result<File> {
    careful().read(true).write(true).create_new(true).open(path)
}

/// Opens the file for reading and writing, and makes it if it is missing.
pub(in crate::store) fn open_or_create_private(path: &Path) -> io::Result<File> {
    careful().read(true).write(true).create(true).truncate(false).open(path)
}

/// Opens a directory.
pub(in crate::store) fn open_directory(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Takes the exclusive lock of the open file, without waiting (flock(2)). The kernel drops it when the last descriptor
/// of this opening is closed, so a dead process holds none.
pub(in crate::store) fn try_lock(file: &File) -> Lock {
    loop {
        // SAFETY: the descriptor belongs to `file`, which outlives the call; flock touches no memory of ours.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            return Lock::Taken;
        }
        match io::Error::last_os_error().kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => return Lock::Held,
            _ => return Lock::Unsupported,
        }
    }
}

/// Lets go of a lock, also where a forked child has inherited the file and would hold on to it.
pub(in crate::store) fn unlock(file: &File) {
    // SAFETY: as above; that a lock may not be ours is no error to the kernel.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

/// Whether the open file still has a name.
pub(in crate::store) fn has_a_name(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.nlink() > 0)
}

/// Whether the name still stands for this open file.
pub(in crate::store) fn is_named(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), std::fs::symlink_metadata(path)) else { return false };
    open.dev() == named.dev() && open.ino() == named.ino()
}

/// Gives a file another name in one step, replacing what has it. A durable one lasts from the next
/// [`sync_directory`] on.
pub(in crate::store) fn rename(from: &Path, to: &Path, _durable: bool) -> io::Result<()> {
    std::fs::rename(from, to)
}

/// Removes a file.
pub(in crate::store) fn remove_file(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

/// Waits until the medium has the names in a directory.
pub(in crate::store) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
