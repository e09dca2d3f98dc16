use crate::minidump::{APPLE_FACTS_STREAM, FormatError, MDRawDirectory, MemoryWriter, SectionWriter};

/// What only Apple's systems tell and no other stream has a field for: the [record](crate::apple_record).
pub(crate) struct AppleFactsSection(pub Vec<u8>);

impl SectionWriter for AppleFactsSection {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.align(4);
        Ok(MDRawDirectory { stream_type: self.section_type(), location: buffer.write_bytes(&self.0)? })
    }

    fn section_type(&self) -> u32 {
        APPLE_FACTS_STREAM
    }

    fn size_hint(&self) -> usize {
        self.0.len()
    }
}
