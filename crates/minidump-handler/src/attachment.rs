//! A file that a program wants kept with its dump, as a stream of that.

use minidump_writer::{MDRawDirectory, MemoryWriter, SectionWriter};
use std::fs::File;
use std::io::{self, Read as _};

/// Stream type of the first attachment; the others follow. `docs/minidump-format.md` has the layout.
pub const FIRST_STREAM: u32 = 0x4d44_0100;
/// What is kept of one file, its end, and of all, in bytes.
pub const MOST_OF_ONE: u64 = 1 << 20;
pub const MOST_OF_ALL: u64 = 8 << 20;

/// A file's name and contents, as a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub stream: u32,
    pub name: String,
    pub contents: Vec<u8>,
}

impl SectionWriter for Attachment {
    fn write_section(
        &self,
        buffer: &mut MemoryWriter,
    ) -> Result<MDRawDirectory, minidump_writer::formats::minidump::FormatError> {
        let name = self.name.as_bytes();
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut bytes = length.to_vec();
        bytes.extend_from_slice(name);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend_from_slice(&self.contents);
        let location = buffer.write_bytes(&bytes)?;
        Ok(MDRawDirectory { stream_type: self.stream, location })
    }

    fn section_type(&self) -> u32 {
        self.stream
    }
}

/// The last `most` bytes: of a log, the end matters.
pub fn end_of(mut file: File, most: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    io::Seek::seek(&mut file, io::SeekFrom::Start(length.saturating_sub(most)))?;
    let mut contents = Vec::new();
    file.take(most).read_to_end(&mut contents)?;
    Ok(contents)
}
