//! Reads the memory of another process, which need not stand still.

use super::errors::CopyFromProcessError;
use crate::Pid;
use crate::snapshot::{MemorySource as _, ReadEnd};
use crate::sys::ProcessMemory;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;

/// The memory of a process that the system lets this program trace.
#[derive(Debug)]
pub struct MemReader {
    pid: Pid,
    memory: ProcessMemory,
}

impl MemReader {
    /// The memory of process `pid`. Nothing is read yet.
    #[must_use]
    pub fn new(pid: Pid) -> Self {
        let file = File::open(format!("/proc/{pid}/mem")).ok();
        Self { pid, memory: ProcessMemory::new(pid, file, false) }
    }

    /// Reads from the address `src` on into `dst`, up to the first byte that cannot be read. Returns how many bytes came.
    ///
    /// # Errors
    /// None came.
    pub fn read(&mut self, src: usize, dst: &mut [u8]) -> Result<usize, CopyFromProcessError> {
        let outcome = self.memory.read(src as u64, dst);
        let source = match outcome.end {
            _ if outcome.done > 0 || dst.is_empty() => return Ok(outcome.done),
            ReadEnd::Unreadable { os_error: Some(code) } => io::Error::from_raw_os_error(code),
            _ => io::ErrorKind::UnexpectedEof.into(),
        };
        Err(CopyFromProcessError { child: self.pid, src, offset: 0, length: dst.len(), source })
    }

    /// Reads up to `length` bytes from the address `src` on. Fewer come when what follows cannot be read.
    ///
    /// # Errors
    /// None came, or there is no memory for `length` bytes.
    pub fn read_to_vec(&mut self, src: usize, length: NonZeroUsize) -> Result<Vec<u8>, CopyFromProcessError> {
        let length = length.get();
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| CopyFromProcessError {
            child: self.pid,
            src,
            offset: 0,
            length,
            source: io::ErrorKind::OutOfMemory.into(),
        })?;
        bytes.resize(length, 0);
        let read = self.read(src, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}
