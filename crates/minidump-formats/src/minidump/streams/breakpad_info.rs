use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{BreakpadInfoValid, MINIDUMP_BREAKPAD_INFO, MINIDUMP_STREAM_TYPE};

/// The thread that crashed, or for which the dump was asked: `MDRawBreakpadInfo`. Which thread wrote the dump is not
/// told, for it was of another process.
pub(crate) struct BreakpadInfoSection {
    /// Thread id.
    pub requesting: u32,
}

impl SectionWriter for BreakpadInfoSection {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.align(4);
        let info = MINIDUMP_BREAKPAD_INFO {
            validity: BreakpadInfoValid::RequestingThreadId.bits(),
            dump_thread_id: 0,
            requesting_thread_id: self.requesting,
        };
        Ok(MDRawDirectory { stream_type: self.section_type(), location: buffer.write(info)? })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::BreakpadInfoStream.into()
    }

    fn size_hint(&self) -> usize {
        16
    }
}
