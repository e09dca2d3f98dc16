use crate::minidump::memory_writer::count;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{MINIDUMP_STREAM_TYPE, MINIDUMP_THREAD_NAME};
use minidump_snapshot::Snapshot;

/// Names of the threads that have one.
pub(crate) struct ThreadNamesSection<'a>(pub &'a Snapshot);

impl ThreadNamesSection<'_> {
    fn named(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.0.threads.iter().filter_map(|thread| Some((thread.id, thread.name.as_deref()?)))
    }
}

impl SectionWriter for ThreadNamesSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let entries = self.named().count();
        buffer.align(4);
        let start = buffer.position();
        buffer.write(count(entries)?)?;
        let list = buffer.reserve_array(entries)?;
        let location = buffer.location_since(start)?;
        for (index, (thread_id, name)) in self.named().enumerate() {
            let thread_name_rva = u64::from(buffer.write_string(name)?);
            buffer.fill(&list, index, MINIDUMP_THREAD_NAME { thread_id, thread_name_rva })?;
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::ThreadNamesStream.into()
    }

    fn size_hint(&self) -> usize {
        self.named().map(|(_, name)| 12 + 10 + 2 * name.len()).sum::<usize>() + 8
    }
}
