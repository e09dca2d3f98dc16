use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{MINIDUMP_MAC_BOOTARGS, MINIDUMP_STREAM_TYPE};

/// What the kernel was started with: Mozilla's `MDRawMacBootargs`, 12 bytes.
pub(crate) struct MacBootargsSection<'a>(pub &'a str);

impl SectionWriter for MacBootargsSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.align(4);
        let start = buffer.position();
        let slot = buffer.reserve_array(1)?;
        let location = buffer.location_since(start)?;
        let bootargs = u64::from(buffer.write_string(self.0.as_bytes())?);
        buffer.fill(&slot, 0, MINIDUMP_MAC_BOOTARGS { stream_type: self.section_type(), bootargs })?;
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::MozMacosBootargsStream.into()
    }

    fn size_hint(&self) -> usize {
        24 + 2 * self.0.len()
    }
}
