use super::FormatError;
use super::copy_memory::copy_memory;
use super::gather::{Gather, refused};
use super::holes::{Hole, HoleLog};
use super::layout::Layout;
use super::streams::AREA_ALIGNMENT;
use super::tail::{HOLE_TABLE_ALIGNMENT, MEMORY_START_ALIGNMENT};
use minidump_snapshot::MemorySource;
use std::io::{Seek, SeekFrom, Write};

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
    /// The output is called seldom, with many bytes each time (`write_vectored`, when it has several pieces): a buffer
    /// in front of it gains nothing.
    ///
    /// # Errors
    /// The output refuses bytes. What it took until then is the start of the file.
    pub fn write(&self, memory: &dyn MemorySource, output: &mut dyn Write) -> Result<Written, FormatError> {
        self.write_from(0, memory, output)
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
        let signature = self.head.get(..SIGNATURE_SIZE).unwrap_or_default();
        output.write_all(&[0; SIGNATURE_SIZE]).map_err(refused)?;
        let written = self.write_from(SIGNATURE_SIZE, memory, &mut output)?;
        output.flush().map_err(refused)?;
        output.seek(SeekFrom::Start(start)).map_err(refused)?;
        output.write_all(signature).map_err(refused)?;
        output.flush().map_err(refused)?;
        let end = start.saturating_add(written.bytes);
        output.seek(SeekFrom::Start(end)).map_err(refused)?;
        Ok(written)
    }

    /// Writes all but the first `done` bytes, which are at most the signature.
    fn write_from(
        &self,
        done: usize,
        memory: &dyn MemorySource,
        output: &mut dyn Write,
    ) -> Result<Written, FormatError> {
        let mut output = Gather::new(output, done as u64);
        self.write_head(done, &mut output)?;
        for area in self.areas.iter() {
            output.push(area)?;
            output.align(AREA_ALIGNMENT)?;
        }
        output.align(MEMORY_START_ALIGNMENT)?;
        let mut log = HoleLog::new(self.hole_capacity);
        copy_memory(self.ranges, self.page_size, memory, &mut output, &mut log)?;
        if self.tail.hole_table.is_some() {
            output.align(HOLE_TABLE_ALIGNMENT)?;
            output.put(&log.table(self.hole_capacity)?)?;
        }
        output.flush()?;
        let (bytes, hole_count, hole_bytes) = (output.bytes(), log.count(), log.bytes());
        Ok(Written { bytes, holes: log.into_holes(), hole_count, hole_bytes })
    }

    fn write_head<'a>(&'a self, mut done: usize, output: &mut Gather<'a, '_>) -> Result<(), FormatError> {
        for gap in &self.gaps {
            output.push(self.head.get(done..gap.index).unwrap_or_default())?;
            gap.contents.write(self.snapshot, output)?;
            done = gap.index;
        }
        output.push(self.head.get(done..).unwrap_or_default())
    }
}
