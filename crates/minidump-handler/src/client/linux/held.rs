//! Descriptors that are kept in a program which may close all that it does not know, and open others under their numbers.
#![expect(unsafe_code, reason = "fstat")]

use super::sys;
use libc::c_int;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// A descriptor, and by what it is known to be still the same file. It is not closed when this value goes.
#[derive(Debug)]
pub struct Held {
    fd: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

impl Held {
    /// Holds a descriptor; a negative one is none.
    pub fn new(fd: c_int) -> Self {
        let (device, inode) = identity(fd).unwrap_or((0, 0));
        Self { fd: AtomicI32::new(fd), device: AtomicU64::new(device), inode: AtomicU64::new(inode) }
    }

    /// The descriptor; -1 when there is none, or its number has gone to another file. A signal handler may ask.
    pub fn get(&self) -> c_int {
        let fd = self.fd.load(Ordering::Acquire);
        let known = (self.device.load(Ordering::Acquire), self.inode.load(Ordering::Acquire));
        if identity(fd) == Some(known) { fd } else { -1 }
    }

    /// The descriptor, which is held no longer; -1 as in [`get`](Self::get).
    pub fn take(&self) -> c_int {
        let fd = self.get();
        self.fd.store(-1, Ordering::Release);
        fd
    }

    /// Holds another descriptor. The one before is closed.
    pub fn put(&self, fd: c_int) {
        self.close();
        let (device, inode) = identity(fd).unwrap_or((0, 0));
        self.device.store(device, Ordering::Release);
        self.inode.store(inode, Ordering::Release);
        self.fd.store(fd, Ordering::Release);
    }

    /// Holds `fd`'s file under the number of before, so that whoever has asked for that a moment ago uses the new one. `fd`
    /// is closed, or, where the number is no longer ours, held itself.
    pub fn replace(&self, fd: c_int) {
        let old = self.get();
        // SAFETY: both descriptors are ours.
        if old < 0 || unsafe { libc::dup3(fd, old, libc::O_CLOEXEC) } < 0 {
            return self.put(fd);
        }
        sys::close(fd);
        let (device, inode) = identity(old).unwrap_or((0, 0));
        self.device.store(device, Ordering::Release);
        self.inode.store(inode, Ordering::Release);
    }

    /// Closes it, if it is still the same.
    pub fn close(&self) {
        let fd = self.take();
        if fd >= 0 {
            sys::close(fd);
        }
    }
}

/// Device and inode of an open file.
fn identity(fd: c_int) -> Option<(u64, u64)> {
    if fd < 0 {
        return None;
    }
    // SAFETY: all zeros are a description; the call writes one there.
    unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        (libc::fstat(fd, &raw mut found) == 0).then_some((found.st_dev, found.st_ino))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_went_to_another_file_is_not_used() {
        let [mine, other] = sys::pair().unwrap();
        let held = Held::new(mine);
        assert_eq!(held.get(), mine);
        let [stranger, end] = sys::pair().unwrap();
        // What a program does that closes what it does not know, and opens something.
        // SAFETY: descriptors of this test.
        assert_eq!(unsafe { libc::dup2(stranger, mine) }, mine);
        assert_eq!((held.get(), held.take()), (-1, -1));
        held.close();
        assert!(sys::send(mine, b"x", end).is_ok(), "it has not been closed");
        [mine, other, stranger, end].into_iter().for_each(sys::close);
    }

    #[test]
    fn another_connection_takes_the_number() {
        let [old, old_end] = sys::pair().unwrap();
        let [new, new_end] = sys::pair().unwrap();
        let held = Held::new(old);
        held.replace(new);
        assert_eq!(held.get(), old);
        assert!(sys::send(old, b"x", old_end).is_ok());
        assert_eq!(sys::receive(new_end, &mut [0; 8]), Some(b"x".as_slice()));
        held.close();
        assert_eq!(held.get(), -1);
        [old_end, new_end].into_iter().for_each(sys::close);
    }
}
