use super::FormatError;
use super::holes::{Hole, HoleLog};
use super::layout::Layout;
use super::tail::{self, MEMORY_ALIGNMENT};
use minidump_snapshot::{MemorySource, PlannedRange, ReadEnd};
use std::io::{self, Seek, SeekFrom, Write};

/// Most bytes of the target's memory that are held at a time.
const BUFFER_SIZE: u64 = 256 << 10;

/// Size in bytes of the signature at the start of the file.
const SIGNATURE_SIZE: usize = 4;

/// What came of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Bytes written: [`Layout::total_size`].
    pub bytes: u64,
    /// Memory that could not be read, in the order of writing, at most
    /// [`LayoutOptions::hole_capacity`](super::LayoutOptions::hole_capacity) entries.
    pub holes: Vec<Hole>,
    /// Number of holes, also of those that `holes` leaves out.
    pub hole_count: u64,
    /// Bytes in all holes together.
    pub hole_bytes: u64,
}

impl Layout<'_> {
    /// Writes the file from front to back. Memory is read piece by piece, in the order of the plan; what cannot be
    /// read becomes zeros and a hole, a page at a time.
    ///
    /// # Errors
    /// The output refuses bytes. What it took until then is the start of the file.
    pub fn write(&self, memory: &dyn MemorySource, output: &mut dyn Write) -> Result<Written, FormatError> {
        let (signature, rest) = self.split_signature();
        put(output, signature)?;
        self.write_behind_signature(rest, memory, output)
    }

    /// Writes the file into an output that can seek. The signature is zero until all else has been written, so a file
    /// that was cut off is never taken for a whole one. The output is left behind the last byte.
    ///
    /// # Errors
    /// The output refuses bytes or seeking.
    pub fn write_seekable<W: Write + Seek + ?Sized>(
        &self,
        memory: &dyn MemorySource,
        mut output: &mut W,
    ) -> Result<Written, FormatError> {
        let start = output.stream_position().map_err(refused)?;
        let (signature, rest) = self.split_signature();
        put(&mut output, &[0; SIGNATURE_SIZE])?;
        let written = self.write_behind_signature(rest, memory, &mut output)?;
        output.flush().map_err(refused)?;
        output.seek(SeekFrom::Start(start)).map_err(refused)?;
        put(&mut output, signature)?;
        output.flush().map_err(refused)?;
        let end = start.saturating_add(written.bytes);
        output.seek(SeekFrom::Start(end)).map_err(refused)?;
        Ok(written)
    }

    fn split_signature(&self) -> (&[u8], &[u8]) {
        self.head.split_at_checked(SIGNATURE_SIZE).unwrap_or((&[], &self.head))
    }

    fn write_behind_signature(
        &self,
        rest: &[u8],
        memory: &dyn MemorySource,
        output: &mut dyn Write,
    ) -> Result<Written, FormatError> {
        put(output, rest)?;
        let areas = self.write_areas(output)?;
        let mut log = HoleLog::new(self.hole_capacity);
        let mut bytes = self.head.len() as u64 + areas;
        bytes += write_memory(self.ranges, self.page_size, memory, output, &mut log)?;
        if self.tail.hole_table.is_some() {
            let padding = bytes.next_multiple_of(tail::HOLE_TABLE_ALIGNMENT) - bytes;
            bytes += put(output, &vec![0; usize::try_from(padding).unwrap_or(0)])?;
            bytes += put(output, &log.table(self.hole_capacity)?)?;
        }
        let (hole_count, hole_bytes) = (log.count(), log.bytes());
        Ok(Written { bytes, holes: log.into_holes(), hole_count, hole_bytes })
    }

    fn write_areas(&self, output: &mut dyn Write) -> Result<u64, FormatError> {
        let mut bytes = 0;
        for (area, padding) in self.areas.pieces() {
            bytes += put(output, area)?;
            bytes += put(output, [0; MEMORY_ALIGNMENT].get(..padding).unwrap_or_default())?;
        }
        Ok(bytes)
    }
}

/// Writes the ranges back to back, with zeros and a hole in `log` for each page, or part of one, that cannot be read.
/// Returns the number of bytes written.
pub(crate) fn write_memory(
    ranges: &[PlannedRange],
    page_size: u64,
    memory: &dyn MemorySource,
    output: &mut dyn Write,
    log: &mut HoleLog,
) -> Result<u64, FormatError> {
    let largest = ranges.iter().map(|range| range.size).max().unwrap_or(0).min(BUFFER_SIZE);
    let mut buffer = vec![0; usize::try_from(largest).unwrap_or(0)];
    let mut reader = Reader { memory, page_size, gone: false, log };
    let mut bytes = 0;
    for range in ranges {
        bytes += reader.copy(range, &mut buffer, output)?;
    }
    Ok(bytes)
}

/// Reads memory with zeros where there is none.
struct Reader<'a> {
    memory: &'a dyn MemorySource,
    page_size: u64,
    /// The target is gone; asking again is useless.
    gone: bool,
    log: &'a mut HoleLog,
}

impl Reader<'_> {
    fn copy(
        &mut self,
        range: &PlannedRange,
        buffer: &mut [u8],
        output: &mut dyn Write,
    ) -> Result<u64, FormatError> {
        let mut done = 0_u64;
        while done < range.size {
            let size = usize::try_from(range.size - done).unwrap_or(usize::MAX).min(buffer.len());
            let Some(piece) = buffer.get_mut(..size).filter(|piece| !piece.is_empty()) else { break };
            self.fill(range.start.saturating_add(done), piece);
            done += put(output, piece)?;
        }
        Ok(done)
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

pub(crate) fn put(output: &mut dyn Write, bytes: &[u8]) -> Result<u64, FormatError> {
    output.write_all(bytes).map_err(refused)?;
    Ok(bytes.len() as u64)
}

fn refused(source: io::Error) -> FormatError {
    FormatError::Output { source }
}
