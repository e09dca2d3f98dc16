use crate::minidump::memory_block::MemoryBlock;
use crate::minidump::memory_writer::{count, location};
use crate::minidump::tail::Tail;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{
    MINIDUMP_MEMORY_DESCRIPTOR, MINIDUMP_MEMORY_DESCRIPTOR64, MINIDUMP_STREAM_TYPE,
};

/// Which memory the file holds and where: a `MemoryList`, or a `Memory64List` where 32-bit offsets do not suffice.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ns-minidumpapiset-minidump_memory64_list>:
/// the ranges of a `Memory64List` follow each other from `BaseRva` on.
pub(crate) struct MemoryListSection<'a> {
    pub block: &'a MemoryBlock<'a>,
    pub tail: Tail,
}

impl MemoryListSection<'_> {
    fn write_narrow(&self, buffer: &mut MemoryWriter) -> Result<(), FormatError> {
        buffer.write(count(self.block.ranges().len())?)?;
        let mut offset = self.tail.memory;
        for range in self.block.ranges() {
            buffer.write(MINIDUMP_MEMORY_DESCRIPTOR {
                start_of_memory_range: range.start,
                memory: location(offset, range.size)?,
            })?;
            offset = offset.saturating_add(range.size);
        }
        Ok(())
    }

    fn write_wide(&self, buffer: &mut MemoryWriter) -> Result<(), FormatError> {
        buffer.write(self.block.ranges().len() as u64)?;
        buffer.write(self.tail.memory)?;
        for range in self.block.ranges() {
            buffer.write(MINIDUMP_MEMORY_DESCRIPTOR64 {
                start_of_memory_range: range.start,
                data_size: range.size,
            })?;
        }
        Ok(())
    }
}

impl SectionWriter for MemoryListSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let start = buffer.position();
        if self.tail.wide {
            self.write_wide(buffer)?;
        } else {
            self.write_narrow(buffer)?;
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location: buffer.location_since(start)? })
    }

    fn section_type(&self) -> u32 {
        if self.tail.wide {
            MINIDUMP_STREAM_TYPE::Memory64ListStream.into()
        } else {
            MINIDUMP_STREAM_TYPE::MemoryListStream.into()
        }
    }
}
