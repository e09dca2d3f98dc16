//! What the dump directory asks of an operating system: private files, links that are not followed, locks that die with
//! their holder, a medium that has really got the bytes.
#![cfg_attr(unix, expect(unsafe_code, reason = "flock, which the standard library has only since Rust 1.89"))]

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// What came of asking for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    /// It is ours until the file is closed.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no locks"))]
    Taken,
    /// Somebody else has it and lives.
    Held,
    /// This system or file system has no such locks.
    Unsupported,
}

/// Makes the directory, readable by its owner alone.
pub(super) fn create_private_directory(path: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is no mode to set"))]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Options for files that only their owner may read, where a symbolic link is an error and a FIFO does not wait.
pub(super) fn careful() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no flags to set"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    options
}

/// Takes the exclusive lock of the open file, without waiting (flock(2)). The kernel drops it when the last descriptor
/// of this opening is closed, so a dead process holds none.
#[cfg(unix)]
pub(super) fn try_lock(file: &File) -> Lock {
    use std::os::fd::AsRawFd;
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
#[cfg(unix)]
pub(super) fn unlock(file: &File) {
    use std::os::fd::AsRawFd;
    // SAFETY: as above; that a lock may not be ours is no error to the kernel.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

/// There are no locks to let go of.
#[cfg(not(unix))]
pub(super) fn unlock(_file: &File) {}

/// No lock that is sure to go with its holder: age has to decide.
#[cfg(not(unix))]
pub(super) fn try_lock(_file: &File) -> Lock {
    Lock::Unsupported
}

/// Whether the open file still has a name.
#[cfg(unix)]
pub(super) fn has_a_name(file: &File) -> bool {
    file.metadata().is_ok_and(|found| std::os::unix::fs::MetadataExt::nlink(&found) > 0)
}

/// A file that is open cannot lose its name here.
#[cfg(not(unix))]
pub(super) fn has_a_name(_file: &File) -> bool {
    true
}

/// Whether the name still stands for this open file.
#[cfg(unix)]
pub(super) fn is_named(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(open), Ok(named)) = (file.metadata(), std::fs::symlink_metadata(path)) else { return false };
    open.dev() == named.dev() && open.ino() == named.ino()
}

/// Files have no number to compare here; names are never used twice.
#[cfg(not(unix))]
pub(super) fn is_named(_file: &File, path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Waits until the medium has the names in a directory.
#[cfg(unix)]
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Directories cannot be synced here; the system does it by itself.
#[cfg(not(unix))]
pub(super) fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}
