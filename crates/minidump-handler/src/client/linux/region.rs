//! Memory for what a crash needs, away from the heap, which a crash may have destroyed.
#![expect(unsafe_code, reason = "mmap")]

use std::io;
use std::mem::{align_of, size_of};
use std::ptr::{self, NonNull};

/// Bytes at both ends that nobody may touch.
const GUARD: usize = 4 << 10;

/// Mapped memory that is given out piece by piece and never taken back.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    size: usize,
    used: usize,
}

impl Region {
    /// Memory of at least `size` bytes, zero. Only what is used is ever there.
    pub fn new(size: usize) -> io::Result<Self> {
        let size = size.next_multiple_of(GUARD);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, all of which is ours, and is never unmapped.
        unsafe {
            let mapping = libc::mmap(ptr::null_mut(), size + 2 * GUARD, libc::PROT_NONE, flags, -1, 0);
            if mapping == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let start = mapping.byte_add(GUARD);
            if libc::mprotect(start, size, libc::PROT_READ | libc::PROT_WRITE) != 0 {
                let error = io::Error::last_os_error();
                libc::munmap(mapping, size + 2 * GUARD);
                return Err(error);
            }
            match NonNull::new(start.cast()) {
                Some(start) => Ok(Self { start, size, used: 0 }),
                None => Err(io::ErrorKind::OutOfMemory.into()),
            }
        }
    }

    /// Takes bytes, all zero.
    pub fn take(&mut self, size: usize) -> io::Result<&'static mut [u8]> {
        let start = self.claim(size, 16)?;
        // SAFETY: this part of the mapping is given out once, and holds zeros.
        Ok(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), size) })
    }

    /// Moves a value in. It is never dropped.
    pub fn put<T>(&mut self, value: T) -> io::Result<&'static mut T> {
        let start = self.claim(size_of::<T>(), align_of::<T>())?.cast::<T>();
        // SAFETY: aligned for it, large enough, and given out once.
        unsafe {
            start.write(value);
            Ok(&mut *start.as_ptr())
        }
    }

    /// Copies bytes in.
    pub fn copy(&mut self, bytes: &[u8]) -> io::Result<&'static [u8]> {
        let room = self.take(bytes.len())?;
        room.copy_from_slice(bytes);
        Ok(room)
    }

    /// The start of a part that nobody has yet.
    fn claim(&mut self, size: usize, align: usize) -> io::Result<NonNull<u8>> {
        let start = self.used.next_multiple_of(align.max(1));
        let end = start.checked_add(size).filter(|end| *end <= self.size);
        self.used = end.ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: within the mapping.
        Ok(unsafe { self.start.add(start) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_overlap_and_end_with_the_region() {
        let mut region = Region::new(8192).unwrap();
        let first = region.take(3).unwrap();
        let number = region.put(7_u64).unwrap();
        first.fill(1);
        assert_eq!((*number, region.copy(b"text").unwrap()), (7, b"text".as_slice()));
        assert!(region.take(8192).is_err());
        assert_eq!(region.take(8000).unwrap(), [0; 8000]);
    }
}
