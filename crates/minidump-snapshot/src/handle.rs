use serde::{Deserialize, Serialize};

/// What a handle refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub enum HandleKind {
    File,
    Directory,
    SymbolicLink,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
    /// An inode without a file system: eventfd, epoll, timerfd, signalfd, pidfd, memfd …; the target names it.
    Anonymous,
    Unknown,
}

/// An open file descriptor or system handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// The number by which the process knows it.
    pub value: u64,
    /// What it refers to.
    pub kind: HandleKind,
    /// What it points to (Linux: the text of the /proc/PID/fd link), as raw bytes.
    pub target: Vec<u8>,
    /// Mode bits (`st_mode`), when known.
    pub mode: Option<u32>,
    /// Open flags (`O_*`), when known.
    pub open_flags: Option<u32>,
}
