//! Dumps a process with a stream of the application's own: `own_stream PID FILE NOTE`.

use minidump_writer::formats::minidump::FormatError;
use minidump_writer::{DumpOptions, MDRawDirectory, MemoryWriter, SectionWriter, dump_process_with};
use std::error::Error;
use std::fs::File;

/// A text, as it is.
struct Note(String);

impl SectionWriter for Note {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let location = buffer.write_bytes(self.0.as_bytes())?;
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    /// Any number above 0xffff that nobody else uses.
    fn section_type(&self) -> u32 {
        0x4e4f_5445
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pid, path, note] = arguments.as_slice() else {
        return Err("usage: own_stream PID FILE NOTE".into());
    };
    let mut file = File::create(path)?;
    let note = Note(note.clone());
    dump_process_with(pid.parse()?, &DumpOptions::default(), &[&note], &mut file)?;
    Ok(())
}
