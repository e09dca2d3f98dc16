//! The file that is written: appended through a fixed buffer, and patched where something is known only later.

use crate::bytes::copy;
use crate::sys::{self, Errno};

/// Offsets of the format are 32 bits wide.
const LIMIT: u64 = u32::MAX as u64;
/// Most attempts at one write that signals interrupt.
const ATTEMPTS: u32 = 64;

/// Nothing can be appended any more, for instance because the disk is full. What is there can still be patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

pub(crate) struct Output<'a> {
    fd: i32,
    buffer: &'a mut [u8],
    used: usize,
    /// Bytes in the file.
    written: u64,
    limit: u64,
    failure: Option<Errno>,
}

impl<'a> Output<'a> {
    /// Writes to `fd` from its start, through `buffer`.
    pub(crate) fn new(fd: i32, buffer: &'a mut [u8]) -> Self {
        // Beyond the resource limit a write would raise SIGXFSZ, and change what the process dies of.
        let limit = sys::file_size_limit().min(LIMIT);
        Self { fd, buffer, used: 0, written: 0, limit, failure: None }
    }

    /// Where the next byte goes.
    pub(crate) fn position(&self) -> u64 {
        self.written.saturating_add(self.used as u64)
    }

    /// The same as a file offset of the format.
    pub(crate) fn rva(&self) -> u32 {
        u32::try_from(self.position()).unwrap_or(u32::MAX)
    }

    /// Bytes that are in the file.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn failure(&self) -> Option<Errno> {
        self.failure
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.buffer.get_mut(self.used..).unwrap_or_default();
            let done = copy(room, rest);
            self.used = self.used.saturating_add(done);
            rest = rest.get(done..).unwrap_or_default();
            if !rest.is_empty() {
                self.flush()?;
            }
        }
        if self.failure.is_some() { Err(Full) } else { Ok(()) }
    }

    /// Appends zeros up to a multiple of `alignment`, a power of two of at most 16.
    pub(crate) fn align(&mut self, alignment: u64) -> Result<(), Full> {
        let gap = self.position().wrapping_neg() & alignment.saturating_sub(1);
        let zeros = [0; 16];
        self.append(usize::try_from(gap).ok().and_then(|gap| zeros.get(..gap)).unwrap_or_default())
    }

    /// Lets `read` put bytes into the free part of the buffer, of which it is given at most `most`. Returns how many it
    /// put there.
    pub(crate) fn append_with(
        &mut self,
        most: u64,
        read: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, Full> {
        if self.used.saturating_mul(2) >= self.buffer.len() {
            self.flush()?;
        }
        let room = self.buffer.get_mut(self.used..).unwrap_or_default();
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(room.len());
        let done = room.get_mut(..most).map_or(0, read).min(most);
        self.used = self.used.saturating_add(done);
        Ok(done)
    }

    /// Brings everything into the file.
    pub(crate) fn flush(&mut self) -> Result<(), Full> {
        if self.failure.is_some() {
            self.used = 0;
            return Err(Full);
        }
        let bytes = self.buffer.get(..self.used).unwrap_or_default();
        let (done, failure) = write_all(self.fd, bytes, self.written, self.limit);
        self.written = self.written.saturating_add(done as u64);
        self.used = 0;
        self.failure = failure;
        if failure.is_some() { Err(Full) } else { Ok(()) }
    }

    /// Overwrites what is in the file already.
    pub(crate) fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Full> {
        let end = offset.saturating_add(bytes.len() as u64);
        if end > self.written {
            self.flush()?;
        }
        if end > self.written {
            return Err(Full);
        }
        let (_, failure) = write_all(self.fd, bytes, offset, self.limit);
        self.failure = self.failure.or(failure);
        if failure.is_some() { Err(Full) } else { Ok(()) }
    }

    /// Cuts off what the file held before behind the last byte written.
    pub(crate) fn cut(&self) {
        // A device or a pipe cannot be cut; its contents are complete all the same.
        let _ = sys::truncate(self.fd, self.written);
    }
}

fn write_all(fd: i32, bytes: &[u8], offset: u64, limit: u64) -> (usize, Option<Errno>) {
    let mut done = 0_usize;
    let mut attempts = 0_u32;
    loop {
        let rest = bytes.get(done..).unwrap_or_default();
        if rest.is_empty() {
            return (done, None);
        }
        let at = offset.saturating_add(done as u64);
        let room = usize::try_from(limit.saturating_sub(at)).unwrap_or(usize::MAX).min(rest.len());
        let Some(part) = rest.get(..room).filter(|part| !part.is_empty()) else {
            return (done, Some(Errno::FBIG));
        };
        match sys::pwrite(fd, part, at) {
            Ok(0) => return (done, Some(Errno::IO)),
            Ok(more) => done = done.saturating_add(more.min(part.len())),
            Err(Errno::INTR) if attempts < ATTEMPTS => attempts = attempts.saturating_add(1),
            Err(error) => return (done, Some(error)),
        }
    }
}
