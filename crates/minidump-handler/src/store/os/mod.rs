//! What the dump directory asks of an operating system: private files, links that are not followed, locks that die with
//! their holder, a medium that has really got the bytes.
//!
//! Required of each system:
//!
//! * `careful() -> OpenOptions`: to open what is there, without following a link or waiting for anybody.
//! * `create_private(path)`, `open_or_create_private(path)`, `create_private_directory(path)`: what only the owner may read.
//! * `open_directory(path)`: a directory as a file.
//! * `try_lock(file) -> Lock`, `unlock(file)`: the exclusive lock of an open file.
//! * `has_a_name(file)`, `is_named(file, path)`: whether a name still stands for an open file.
//! * `rename(from, to, durable)`, `remove_file(path)`, `sync_directory(path)`: names that change in one step.

#[cfg(unix)]
#[path = "unix.rs"]
mod platform;

#[cfg(windows)]
#[path = "windows/mod.rs"]
mod platform;

pub(super) use platform::*;

/// What came of asking for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    /// It is ours until the file is closed.
    Taken,
    /// Somebody else has it and lives.
    Held,
    /// This system or file system has no such locks.
    Unsupported,
}
