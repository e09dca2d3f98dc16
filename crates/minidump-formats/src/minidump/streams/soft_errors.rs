use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use crate::soft_errors;
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use minidump_snapshot::SoftError;

/// What could not be captured: a JSON array of objects, `[]` when all went well.
pub(crate) struct SoftErrorsSection<'a> {
    /// Those of the capture.
    pub captured: &'a [SoftError],
    /// Those of the encoder.
    pub encoded: &'a [SoftError],
}

impl SectionWriter for SoftErrorsSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let json = soft_errors::json(self.captured, self.encoded);
        buffer.align(4);
        Ok(MDRawDirectory { stream_type: self.section_type(), location: buffer.write_bytes(&json)? })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::MozSoftErrors.into()
    }

    fn size_hint(&self) -> usize {
        self.captured.iter().map(|error| 160 + error.message.len()).sum::<usize>() + 8
    }
}
