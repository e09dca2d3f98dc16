//! Streams of the application's own.

use crate::dump::Dump;
use crate::target::Target;
use minidump_writer::formats::minidump::FormatError;
use minidump_writer::{
    DumpOptions, Error, MDRawDirectory, MemoryWriter, SectionWriter, dump_process, dump_process_with,
};

/// A stream that starts with the offset of a string, followed by bytes.
struct Note {
    kind: u32,
    text: &'static str,
    bytes: Vec<u8>,
}

impl SectionWriter for Note {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let text = buffer.write_string(self.text.as_bytes())?;
        let start = buffer.position();
        buffer.write(text)?;
        buffer.write_bytes(&self.bytes)?;
        Ok(MDRawDirectory { stream_type: self.kind, location: buffer.location_since(start)? })
    }

    fn section_type(&self) -> u32 {
        self.kind
    }
}

/// A stream that comes to nothing.
struct Broken;

impl SectionWriter for Broken {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.write_bytes(&[0xbb; 64])?;
        Err(FormatError::Count { count: 77 })
    }

    fn section_type(&self) -> u32 {
        0xabcd_0009
    }
}

fn note(kind: u32, text: &'static str, bytes: &[u8]) -> Note {
    Note { kind, text, bytes: bytes.to_vec() }
}

fn dump(target: &Target, sections: &[&dyn SectionWriter]) -> Result<Dump, Error> {
    let mut file = Vec::new();
    dump_process_with(target.pid(), &DumpOptions::default(), sections, &mut file)?;
    Ok(Dump::read(file))
}

#[test]
fn an_own_stream_is_in_the_dump_with_all_it_points_to() {
    let target = Target::start();
    let (first, second) = (note(0xabcd_0001, "żółw", &[1, 2, 3]), note(0xabcd_0002, "", &[0xee; 10_000]));
    let dump = dump(&target, &[&first, &second]).unwrap();
    for note in [first, second] {
        let stream = dump.minidump.get_raw_stream(note.kind).unwrap();
        assert_eq!(stream[4..], note.bytes);
        let at = u32::from_le_bytes(stream[..4].try_into().unwrap()) as usize;
        let size = u32::from_le_bytes(dump.bytes[at..at + 4].try_into().unwrap()) as usize;
        let units: Vec<u8> = note.text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(dump.bytes[at + 4..at + 4 + size], units);
    }
    assert_eq!(dump.threads()[0].0, target.pid(), "the usual streams are there as well");
}

#[test]
fn a_stream_that_fails_costs_nothing_but_itself() {
    let target = Target::start();
    let note = note(0xabcd_0001, "note", &[7; 5]);
    let dump = dump(&target, &[&Broken, &note]).unwrap();
    assert!(dump.minidump.get_raw_stream(Broken.section_type()).is_err());
    assert_eq!(dump.minidump.get_raw_stream(note.kind).unwrap()[4..], [7; 5]);
    assert!(dump.soft_errors().contains("77"), "{}", dump.soft_errors());
}

#[test]
fn two_streams_of_one_type_are_refused_before_anything_is_written() {
    let target = Target::start();
    let note = note(0xabcd_0001, "note", &[]);
    let mut file = Vec::new();
    let options = DumpOptions::default();
    let error = dump_process_with(target.pid(), &options, &[&note, &note], &mut file).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    assert!(file.is_empty());
}

#[test]
fn the_report_says_what_was_written() {
    let target = Target::start();
    let mut file = Vec::new();
    let report = dump_process(target.pid(), &DumpOptions::default(), &mut file).unwrap();
    assert_eq!(report.bytes, file.len() as u64);
    let dump = Dump::read(file);
    assert_eq!(report.threads, dump.threads().len());
    assert_eq!(report.modules, dump.modules().iter().count());
    assert!(!report.stopped.is_zero() && report.stopped < report.wall);
}
