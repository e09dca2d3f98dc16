use super::layout::{CoreLayout, HOLE_TABLE_ALIGNMENT};
use super::{FormatError, Written};
use crate::minidump::{Gather, HoleLog, copy_memory};
use minidump_snapshot::MemorySource;
use std::io::Write;

/// About how many bytes of notes are handed to the output at a time.
const NOTES_AT_A_TIME: usize = 32 << 10;

impl CoreLayout<'_> {
    /// Writes the file from front to back. Memory is read piece by piece, in the order of the plan; what cannot be
    /// read becomes zeros and a hole, a page at a time.
    ///
    /// The output is called seldom, with many bytes each time (`write_vectored`, when it has several pieces): a buffer
    /// in front of it gains nothing.
    ///
    /// # Errors
    /// The output refuses bytes. What it took until then is the start of the file.
    pub fn write(&self, memory: &dyn MemorySource, output: &mut dyn Write) -> Result<Written, FormatError> {
        let mut output = Gather::new(output, 0);
        output.push(&self.headers)?;
        let mut gathered = Vec::with_capacity(NOTES_AT_A_TIME);
        self.each_threads_notes(|notes| {
            if gathered.len().saturating_add(notes.len()) > NOTES_AT_A_TIME {
                output.put(&gathered)?;
                gathered.clear();
            }
            gathered.extend_from_slice(notes);
            Ok(())
        })?;
        output.put(&gathered)?;
        output.push(&self.last_notes)?;
        let mut log = HoleLog::new(self.hole_capacity);
        copy_memory(self.ranges, self.page_size, memory, &mut output, &mut log)?;
        if self.places.hole_table.is_some() {
            output.align(HOLE_TABLE_ALIGNMENT)?;
            output.put(&log.table(self.hole_capacity)?)?;
        }
        output.flush()?;
        let (bytes, hole_count, hole_bytes) = (output.bytes(), log.count(), log.bytes());
        Ok(Written { bytes, holes: log.into_holes(), hole_count, hole_bytes })
    }
}
