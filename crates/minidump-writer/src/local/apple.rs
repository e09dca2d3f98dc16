//! macOS: the process captures itself. Its other threads stand still only while nothing is allocated, so that no lock that one
//! of them holds is waited for.

use super::UserStream;
use crate::formats::minidump::{FormatError, SectionWriter};
use crate::{DumpOptions, DumpReport, Error, MDRawDirectory, MemoryWriter, Pid, dump_process_with};
use std::io;

/// A stream whose bytes are ready.
struct ReadyMade<'a>(&'a UserStream<'a>);

impl SectionWriter for ReadyMade<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let location = buffer.write_bytes(self.0.bytes)?;
        Ok(MDRawDirectory { stream_type: self.0.stream_type, location })
    }

    fn section_type(&self) -> u32 {
        self.0.stream_type
    }

    fn size_hint(&self) -> usize {
        self.0.bytes.len()
    }
}

/// See [`dump_self_with`](super::dump_self_with).
pub fn dump(
    options: &DumpOptions,
    streams: &[UserStream<'_>],
    output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    let streams: Vec<ReadyMade<'_>> = streams.iter().map(ReadyMade).collect();
    let sections: Vec<&dyn SectionWriter> =
        streams.iter().map(|stream| stream as &dyn SectionWriter).collect();
    let pid = Pid::try_from(std::process::id()).unwrap_or_default();
    dump_process_with(pid, options, &sections, output)
}
