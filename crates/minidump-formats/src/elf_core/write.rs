use super::layout::{CoreLayout, HOLE_TABLE_ALIGNMENT};
use super::{FormatError, Written};
use crate::minidump::{HoleLog, put, write_memory};
use minidump_snapshot::MemorySource;
use std::io::Write;

impl CoreLayout<'_> {
    /// Writes the file from front to back. Memory is read piece by piece, in the order of the plan; what cannot be
    /// read becomes zeros and a hole, a page at a time.
    ///
    /// # Errors
    /// The output refuses bytes. What it took until then is the start of the file.
    pub fn write(&self, memory: &dyn MemorySource, output: &mut dyn Write) -> Result<Written, FormatError> {
        let mut bytes = put(output, &self.headers)?;
        for notes in self.thread_notes() {
            bytes += put(output, &notes)?;
        }
        bytes += put(output, &self.last_notes)?;
        let mut log = HoleLog::new(self.hole_capacity);
        bytes += write_memory(self.ranges, self.page_size, memory, output, &mut log)?;
        if self.places.hole_table.is_some() {
            let padding = bytes.next_multiple_of(HOLE_TABLE_ALIGNMENT) - bytes;
            bytes += put(output, &vec![0; usize::try_from(padding).unwrap_or(0)])?;
            bytes += put(output, &log.table(self.hole_capacity)?)?;
        }
        let (hole_count, hole_bytes) = (log.count(), log.bytes());
        Ok(Written { bytes, holes: log.into_holes(), hole_count, hole_bytes })
    }
}
