//! Reading the memory of another process.
#![expect(unsafe_code, reason = "calls of the system")]

use crate::snapshot::{MemorySource, Protection, ReadEnd, ReadOutcome, Region, RegionKind};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::sync::Arc;
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;

/// Pages are never smaller.
const PAGE: u64 = 4096;

/// Memory of a process, as far as it may be read without changing anything: no guard pages, no devices.
#[derive(Debug, Clone)]
pub struct ProcessMemory {
    process: Arc<OwnedHandle>,
    /// What may be read: ranges (first address, end), by ascending address, that neither overlap nor touch.
    open: Vec<(u64, u64)>,
}

impl ProcessMemory {
    /// Memory of `process`, whose memory map is `regions`.
    pub fn new(process: Arc<OwnedHandle>, regions: &[Region]) -> Self {
        let mut open: Vec<(u64, u64)> = Vec::new();
        let readable = regions
            .iter()
            .filter(|region| !region.protection.is_empty() && region.kind != RegionKind::Device)
            .filter(|region| region.protection != Protection::WRITE);
        for region in readable {
            match open.last_mut() {
                Some((_, end)) if *end == region.start => *end = region.end,
                _ => open.push((region.start, region.end)),
            }
        }
        Self { process, open }
    }

    /// End of what may be read from `address` on.
    fn open_end(&self, address: u64) -> Option<u64> {
        let next = self.open.partition_point(|(_, end)| *end <= address);
        self.open.get(next).filter(|(start, _)| *start <= address).map(|(_, end)| *end)
    }

    /// Reads on when a call did not bring all: page by page, up to the first one that does not come.
    fn read_pages(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = address.saturating_add(done as u64);
            let in_page = usize::try_from(PAGE - at % PAGE).unwrap_or(1);
            let size = in_page.min(rest.len());
            match read(self.process.as_handle(), at, rest.get_mut(..size).unwrap_or_default()) {
                Ok(came) if came == size => done += size,
                Ok(came) => return ReadOutcome::unreadable(done + came, None),
                Err(_) if super::open::has_ended(self.process.as_handle()) => {
                    return ReadOutcome { done, end: ReadEnd::Gone };
                }
                Err(error) => return ReadOutcome::unreadable(done, error.raw_os_error()),
            }
        }
        ReadOutcome::complete(done)
    }
}

impl MemorySource for ProcessMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let wanted = buffer.len();
        let open = self.open_end(address).map_or(0, |end| end - address);
        let size = usize::try_from(open).unwrap_or(usize::MAX).min(wanted);
        let Some(buffer) = buffer.get_mut(..size).filter(|buffer| !buffer.is_empty()) else {
            return if wanted == 0 { ReadOutcome::complete(0) } else { ReadOutcome::unreadable(0, None) };
        };
        let outcome = match read(self.process.as_handle(), address, buffer) {
            Ok(came) if came == size => ReadOutcome::complete(size),
            _ => self.read_pages(address, buffer),
        };
        if outcome.end == ReadEnd::Complete && size < wanted {
            return ReadOutcome::unreadable(outcome.done, None);
        }
        outcome
    }
}

/// One call. It brings all or an unknown part.
fn read(process: BorrowedHandle<'_>, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let place = usize::try_from(address).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut came = 0;
    // SAFETY: the buffer is live, exclusive and as long as said; the address is one of the other process, which the
    // system checks.
    let done = unsafe {
        ReadProcessMemory(
            process.as_raw_handle(),
            std::ptr::without_provenance(place),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            &raw mut came,
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(came.min(buffer.len())) }
}
