//! Wakes a thread that waits for descriptors.
#![expect(unsafe_code, reason = "sockets, the number of which another file may have got")]

use std::io;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, RawFd};
use std::os::unix::net::UnixDatagram;

/// Two ends of a connection, one of which can be read once it has been woken. Each is used only while it is known to be the
/// same: a program in which this lives may close what it does not know.
#[derive(Debug)]
pub struct Waker {
    ends: [RawFd; 2],
    inodes: [(u64, u64); 2],
}

impl Waker {
    pub fn new() -> io::Result<Self> {
        let (read, write) = UnixDatagram::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let inodes = [&read, &write].map(|end| identity(end.as_raw_fd()));
        Ok(Self { ends: [read.into_raw_fd(), write.into_raw_fd()], inodes })
    }

    /// What can be read once it has been woken; -1 when it is no longer there.
    pub fn descriptor(&self) -> RawFd {
        self.end(0)
    }

    /// Wakes whoever waits for it.
    pub fn wake(&self) {
        // SAFETY: one byte. Where there is no room for it, they have been woken already.
        unsafe {
            libc::send(self.end(1), [1_u8].as_ptr().cast(), 1, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        };
    }

    /// Forgets that it was woken.
    pub fn drain(&self) {
        let mut byte = [0_u8; 1];
        // SAFETY: one byte of ours. It ends when nothing is left: each byte was sent by `wake`, of which few fit.
        while unsafe { libc::recv(self.end(0), byte.as_mut_ptr().cast(), 1, libc::MSG_DONTWAIT) } > 0 {}
    }

    fn end(&self, index: usize) -> RawFd {
        let (fd, known) = (self.ends.get(index).copied().unwrap_or(-1), self.inodes.get(index));
        if known.is_some_and(|known| *known == identity(fd)) { fd } else { -1 }
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        for fd in [self.end(0), self.end(1)] {
            // SAFETY: ours, and used by nobody any more; -1 is refused.
            unsafe { libc::close(fd) };
        }
    }
}

/// Device and inode of an open file.
fn identity(fd: RawFd) -> (u64, u64) {
    // SAFETY: all zeros are a description; the call writes one there, or nothing.
    unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        libc::fstat(fd, &raw mut found);
        (found.st_dev, found.st_ino)
    }
}
