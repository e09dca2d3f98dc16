//! Sections of an application.

use crate::build::{empty, write};
use crate::raw::Raw;
use minidump_formats::minidump::{
    FormatError, LayoutOptions, MDRawDirectory, MemoryWriter, SectionWriter, layout,
};
use minidump_snapshot::{BufferSource, MemoryPlan, SoftError};

const MINE: u32 = 0x4242_0001;

/// A count and that many strings, pointed to by offset.
struct Notes(&'static [&'static str]);

impl SectionWriter for Notes {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.align(4);
        let start = buffer.position();
        let list = buffer.reserve_array::<u32>(self.0.len())?;
        let location = buffer.location_since(start)?;
        for (index, note) in self.0.iter().enumerate() {
            let rva = buffer.write_string(note.as_bytes())?;
            buffer.fill(&list, index, rva)?;
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINE
    }

    fn size_hint(&self) -> usize {
        usize::MAX
    }
}

/// Writes something and then fails.
struct Failing;

impl SectionWriter for Failing {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.write_bytes(&[0xab; 100])?;
        Err(FormatError::Count { count: 7 })
    }

    fn section_type(&self) -> u32 {
        0x4242_0002
    }
}

/// Claims a type that is not its own.
struct Claiming(u32);

impl SectionWriter for Claiming {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        Ok(MDRawDirectory { stream_type: 0xffff, location: buffer.write_bytes(b"claimed")? })
    }

    fn section_type(&self) -> u32 {
        self.0
    }
}

#[test]
fn an_applications_section_is_a_stream_like_any_other() {
    let (snapshot, plan) = (empty(), MemoryPlan::default());
    let notes = Notes(&["one", "two"]);
    let options = LayoutOptions { extra_sections: &[&notes], ..LayoutOptions::default() };
    let layout = layout(&snapshot, &plan, &options).unwrap();
    let raw = Raw::new(write(&layout, &BufferSource::new()).0);
    let (stream, size) = raw.stream(MINE);
    assert_eq!(size, 8);
    assert_eq!(raw.string(raw.u32(stream) as usize), "one");
    assert_eq!(raw.string(raw.u32(stream + 4) as usize), "two");
    assert!(raw.reader().get_raw_stream(MINE).is_ok());
}

#[test]
fn a_section_that_fails_is_left_out_without_a_trace_but_a_soft_error() {
    let (snapshot, plan) = (empty(), MemoryPlan::default());
    let notes = Notes(&["kept"]);
    let options = LayoutOptions { extra_sections: &[&Failing, &notes], ..LayoutOptions::default() };
    let layout = layout(&snapshot, &plan, &options).unwrap();
    let message = "stream 0x42420002 was left out: 7 entries do not fit the list";
    assert_eq!(layout.soft_errors().len(), 1);
    assert_eq!(layout.soft_errors()[0].message, message);
    let raw = Raw::new(write(&layout, &BufferSource::new()).0);
    assert_eq!(raw.find(0x4242_0002), None);
    let (stream, _) = raw.stream(MINE);
    assert_eq!(raw.string(raw.u32(stream) as usize), "kept");
    assert!(raw.directory().iter().all(|(stream_type, _, _)| *stream_type != 0));
    assert!(!raw.bytes.windows(4).any(|window| window == [0xab; 4]));
    let errors: Vec<SoftError> = serde_json::from_slice(raw.content(0x4d7a_0004)).unwrap();
    assert_eq!(errors, layout.soft_errors());
}

#[test]
fn two_sections_of_one_type_are_refused() {
    let (snapshot, plan) = (empty(), MemoryPlan::default());
    for stream_type in [3, 5, 9, 0x4d7a_0004, 0x4d44_0001, 0x4d44_0002] {
        let claiming = Claiming(stream_type);
        let options = LayoutOptions { extra_sections: &[&claiming], ..LayoutOptions::default() };
        let error = layout(&snapshot, &plan, &options).unwrap_err();
        assert!(matches!(error, FormatError::DuplicateStream { stream_type: found } if found == stream_type));
    }
    let (first, second) = (Claiming(MINE), Notes(&[]));
    let options = LayoutOptions { extra_sections: &[&first, &second], ..LayoutOptions::default() };
    assert!(layout(&snapshot, &plan, &options).is_err());
}

#[test]
fn the_type_in_the_directory_is_the_one_the_section_was_checked_for() {
    let (snapshot, plan) = (empty(), MemoryPlan::default());
    let claiming = Claiming(MINE);
    let options = LayoutOptions { extra_sections: &[&claiming], ..LayoutOptions::default() };
    let layout = layout(&snapshot, &plan, &options).unwrap();
    assert_eq!(Raw::new(write(&layout, &BufferSource::new()).0).content(MINE), b"claimed");
}
