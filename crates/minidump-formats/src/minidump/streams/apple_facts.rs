use crate::minidump::{
    APPLE_FACTS_STREAM, AppleRecord, FormatError, MDRawDirectory, MemoryWriter, SectionWriter,
};

/// What only Apple's systems tell and no other stream has a field for: an [`AppleRecord`] as JSON.
pub(crate) struct AppleFactsSection(pub AppleRecord);

impl SectionWriter for AppleFactsSection {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let json = serde_json::to_vec(&self.0)?;
        buffer.align(4);
        Ok(MDRawDirectory { stream_type: self.section_type(), location: buffer.write_bytes(&json)? })
    }

    fn section_type(&self) -> u32 {
        APPLE_FACTS_STREAM
    }

    fn size_hint(&self) -> usize {
        self.0.size_hint()
    }
}
