use super::layout::{HOLE_TABLE_ALIGNMENT, MEMORY_ALIGNMENT, MachoCoreLayout};
use super::mach_o::segment_command;
use super::notes;
use super::thread_commands::command;
use super::{FormatError, Written};
use crate::minidump::{Gather, HoleLog, copy_memory};
use minidump_snapshot::MemorySource;
use std::io::Write;

/// About how many bytes of commands are handed to the output at a time.
const COMMANDS_AT_A_TIME: usize = 32 << 10;

impl MachoCoreLayout<'_> {
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
        output.push(&self.head)?;
        self.write_commands(&mut output)?;
        output.align(notes::ALIGNMENT)?;
        output.push(&self.notes)?;
        output.align(MEMORY_ALIGNMENT)?;
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

    /// The commands of threads and segments.
    fn write_commands(&self, output: &mut Gather<'_, '_>) -> Result<(), FormatError> {
        let threads = self.threads.threads(self.snapshot);
        let threads = threads.filter_map(|thread| command(thread, self.registers));
        let segments = self.segments.iter().map(|segment| {
            let offset = self.places.memory.saturating_add(segment.offset);
            segment_command(segment.address, segment.size, offset, segment.protection)
        });
        let mut gathered = Vec::with_capacity(COMMANDS_AT_A_TIME);
        for command in threads.chain(segments) {
            if gathered.len().saturating_add(command.len()) > COMMANDS_AT_A_TIME {
                output.put(&gathered)?;
                gathered.clear();
            }
            gathered.extend_from_slice(&command);
        }
        output.put(&gathered)
    }
}
