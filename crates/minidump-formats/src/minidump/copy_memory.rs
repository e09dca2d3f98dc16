use super::FormatError;
use super::gather::Gather;
use super::holes::HoleLog;
use minidump_snapshot::{MemorySource, PlannedRange, ReadEnd};

/// Most bytes of the target's memory that are held at a time, of those that the source does not hold itself. They are
/// to be in the processor's cache still when they are written: a quarter of a MiB takes twice as long.
const BUFFER_SIZE: usize = 64 << 10;

/// Writes the ranges back to back, with zeros and a hole in `log` for each page, or part of one, that cannot be read.
/// What the source has in memory goes to the output from there; the rest is read piece by piece.
pub(crate) fn copy_memory<'a>(
    ranges: &[PlannedRange],
    page_size: u64,
    memory: &'a dyn MemorySource,
    output: &mut Gather<'a, '_>,
    log: &mut HoleLog,
) -> Result<(), FormatError> {
    let mut copier = Copier { memory, page_size, gone: false, log, buffer: Vec::new() };
    ranges.iter().try_for_each(|range| copier.copy(range, output))
}

/// Reads memory with zeros where there is none.
struct Copier<'a, 'l> {
    memory: &'a dyn MemorySource,
    page_size: u64,
    /// The target is gone; asking again is useless.
    gone: bool,
    log: &'l mut HoleLog,
    /// As large as the largest piece that was read.
    buffer: Vec<u8>,
}

impl<'a> Copier<'a, '_> {
    fn copy(&mut self, range: &PlannedRange, output: &mut Gather<'a, '_>) -> Result<(), FormatError> {
        let mut done = 0_u64;
        while done < range.size {
            let address = range.start.saturating_add(done);
            let left = usize::try_from(range.size - done).unwrap_or(usize::MAX);
            let held = self.held(address, left);
            if held.is_empty() {
                let size = left.min(BUFFER_SIZE);
                output.put(self.read_or_zeros(address, size))?;
                done += size as u64;
            } else {
                output.push(held)?;
                done += held.len() as u64;
            }
        }
        Ok(())
    }

    /// What the source has in memory at `address`, at most `size` bytes.
    fn held(&self, address: u64, size: usize) -> &'a [u8] {
        let held = if self.gone { &[] } else { self.memory.slice(address, size) };
        held.get(..size).unwrap_or(held)
    }

    /// All of the `size` bytes at `address`.
    fn read_or_zeros(&mut self, address: u64, size: usize) -> &[u8] {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        self.fill(address, buffer.get_mut(..size).unwrap_or_default());
        self.buffer = buffer;
        self.buffer.get(..size).unwrap_or_default()
    }

    /// Fills all of `buffer` with the memory from `address` on.
    fn fill(&mut self, mut address: u64, mut buffer: &mut [u8]) {
        while !buffer.is_empty() {
            let done = self.read(address, buffer);
            let (_, rest) = std::mem::take(&mut buffer).split_at_mut(done);
            address = address.saturating_add(done as u64);
            let (hole, rest) = rest.split_at_mut(self.hole_size(address, rest.len()));
            if !hole.is_empty() {
                hole.fill(0);
                self.log.add(address, hole.len() as u64);
                address = address.saturating_add(hole.len() as u64);
            }
            buffer = rest;
        }
    }

    /// Reads what there is in front of the first unreadable byte. Returns its size.
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
        if self.gone {
            return 0;
        }
        let outcome = self.memory.read(address, buffer);
        self.gone = outcome.end == ReadEnd::Gone;
        outcome.done.min(buffer.len())
    }

    /// How much of the `left` bytes at an unreadable `address` is given up: the rest of the page, or all when the
    /// target is gone.
    fn hole_size(&self, address: u64, left: usize) -> usize {
        let to_page_end = self.page_size - address % self.page_size;
        let page = usize::try_from(to_page_end).unwrap_or(usize::MAX);
        if self.gone { left } else { left.min(page) }
    }
}
