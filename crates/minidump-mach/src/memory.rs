use crate::{KernReturn, MachTask};
use minidump_snapshot::{MemorySource, ReadEnd, ReadOutcome};
use std::cell::RefCell;
use std::fmt;

/// The pages that a read which fails as a whole is tried again in. No system has smaller ones; most have larger ones.
const PAGE: u64 = 4096;
const LARGE_PAGE: u64 = 16_384;

/// Memory of a task.
pub struct TaskMemory<'a> {
    task: &'a dyn MachTask,
    /// The page that a string was read from last: strings mostly lie close together.
    page: RefCell<Option<(u64, Vec<u8>)>>,
}

impl fmt::Debug for TaskMemory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskMemory").finish_non_exhaustive()
    }
}

impl<'a> TaskMemory<'a> {
    pub fn new(task: &'a dyn MachTask) -> Self {
        Self { task, page: RefCell::new(None) }
    }

    /// Reads as much of `buffer` as there is. The kernel gives all of a range or nothing, so that what fails as a whole is
    /// read page by page. Returns how much came, and what the kernel said where it was not all.
    pub fn read_some(&self, address: u64, buffer: &mut [u8]) -> (usize, Option<KernReturn>) {
        let mut done = 0_usize;
        let mut granule = u64::MAX;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(at) = address.checked_add(done as u64) else {
                return (done, Some(KernReturn::INVALID_ADDRESS));
            };
            let most = if granule == u64::MAX { u64::MAX } else { granule - at % granule };
            let size = usize::try_from(most).unwrap_or(usize::MAX).min(rest.len());
            let read = self.task.read(at, rest.get_mut(..size).unwrap_or_default());
            match read {
                Ok(0) => return (done, Some(KernReturn::FAILURE)),
                Ok(came) => done = done.saturating_add(came.min(size)),
                Err(error) if granule == PAGE || size == 1 => return (done, Some(error)),
                Err(_) => granule = if granule == u64::MAX { LARGE_PAGE } else { PAGE },
            }
        }
        (done, None)
    }

    /// Reads exactly `size` bytes.
    pub fn read_vec(&self, address: u64, size: usize) -> Result<Vec<u8>, KernReturn> {
        let mut bytes = vec![0; size];
        match self.read_some(address, &mut bytes) {
            (_, None) => Ok(bytes),
            (_, Some(error)) => Err(error),
        }
    }

    /// Reads a number of eight bytes.
    pub fn read_u64(&self, address: u64) -> Result<u64, KernReturn> {
        let mut bytes = [0; 8];
        match self.read_some(address, &mut bytes) {
            (_, None) => Ok(u64::from_le_bytes(bytes)),
            (_, Some(error)) => Err(error),
        }
    }

    /// Reads a C string of at most `most` bytes. Returns what there is of it, and whether its end was found.
    pub fn read_string(&self, address: u64, most: usize) -> Result<(Vec<u8>, bool), KernReturn> {
        let mut text = Vec::new();
        while text.len() < most {
            let at = address.checked_add(text.len() as u64).ok_or(KernReturn::INVALID_ADDRESS)?;
            let start = at - at % PAGE;
            let offset = usize::try_from(at - start).unwrap_or_default();
            let page = match self.page_at(start) {
                Ok(page) => page,
                Err(error) if text.is_empty() => return Err(error),
                Err(_) => return Ok((text, false)),
            };
            let tail = page.get(offset..).unwrap_or_default();
            let tail = tail.get(..most - text.len()).unwrap_or(tail);
            match tail.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    text.extend_from_slice(tail.get(..end).unwrap_or_default());
                    return Ok((text, true));
                }
                None => text.extend_from_slice(tail),
            }
        }
        Ok((text, false))
    }

    fn page_at(&self, start: u64) -> Result<Vec<u8>, KernReturn> {
        if let Some((at, page)) = &*self.page.borrow()
            && *at == start
        {
            return Ok(page.clone());
        }
        let page = self.read_vec(start, usize::try_from(PAGE).unwrap_or_default())?;
        self.page.replace(Some((start, page.clone())));
        Ok(page)
    }
}

impl MemorySource for TaskMemory<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let (done, error) = self.read_some(address, buffer);
        let end = match error {
            None => ReadEnd::Complete,
            Some(KernReturn::INVALID_DESTINATION | KernReturn::TERMINATED) => ReadEnd::Gone,
            Some(KernReturn(code)) => ReadEnd::Unreadable { os_error: Some(code) },
        };
        ReadOutcome { done, end }
    }
}
