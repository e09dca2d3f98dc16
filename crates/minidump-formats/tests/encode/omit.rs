//! Streams that the file is to go without.

use crate::any_snapshot::{ALWAYS, rich};
use crate::build::{bytes_at, full_source, plan, write};
use crate::raw::Raw;
use minidump::{MinidumpMemoryList, MinidumpThreadList};
use minidump_formats::minidump::{
    FormatError, HOLE_TABLE_STREAM, LayoutOptions, MDRawDirectory, MemoryWriter, SectionWriter, layout,
};
use minidump_snapshot::{BufferSource, MemoryPlan, Purpose};

fn stack_plan() -> MemoryPlan {
    plan(&[(0x1000, 0x40, Purpose::BlamedStack), (0x5000, 0x20, Purpose::Code)], &[(1, 0x1000, 0x40)])
}

fn encode_without(omit: &[u32]) -> Raw {
    let (snapshot, plan) = (rich(), stack_plan());
    let options = LayoutOptions { omit, ..LayoutOptions::default() };
    let layout = layout(&snapshot, &plan, &options).unwrap();
    assert_eq!(layout.soft_errors(), [], "what was asked for is no error");
    Raw::new(write(&layout, &full_source(&plan)).0)
}

fn types(raw: &Raw) -> Vec<u32> {
    raw.directory().into_iter().map(|(stream_type, _, _)| stream_type).collect()
}

#[test]
fn every_stream_can_be_left_out_and_all_others_stay() {
    let whole = types(&encode_without(&[]));
    assert_eq!(whole.len(), ALWAYS.len() + 13, "{whole:x?}");
    for omitted in &whole {
        let raw = encode_without(&[*omitted]);
        let without_memory = *omitted == 5;
        let stays = |stream: &u32| stream != omitted && !(without_memory && *stream == HOLE_TABLE_STREAM);
        let expected: Vec<u32> = whole.iter().copied().filter(stays).collect();
        assert_eq!(types(&raw), expected, "{omitted:#x}");
        raw.reader();
    }
}

#[test]
fn without_any_stream_a_file_is_a_header() {
    let whole = types(&encode_without(&[]));
    let raw = encode_without(&whole);
    assert_eq!(types(&raw), Vec::<u32>::new());
    assert_eq!(&raw.bytes[..4], b"MDMP");
    assert_eq!(raw.u64(24), 0, "the flags promise no stream");
}

#[test]
fn the_flags_tell_of_streams_that_are_there() {
    assert_eq!(encode_without(&[]).u64(24), 0x1804);
    assert_eq!(encode_without(&[12]).u64(24), 0x1800);
    assert_eq!(encode_without(&[16]).u64(24), 0x1004);
    assert_eq!(encode_without(&[17]).u64(24), 0x0804);
}

#[test]
fn without_a_memory_list_of_either_kind_there_is_no_memory() {
    let whole = encode_without(&[]);
    for omitted in [5, 9] {
        let raw = encode_without(&[omitted]);
        for stream in [5, 9, HOLE_TABLE_STREAM] {
            assert_eq!(raw.find(stream), None);
        }
        assert!(raw.bytes.len() + 0x60 <= whole.bytes.len());
        assert!(!raw.bytes.windows(16).any(|window| window == bytes_at(0x1000, 16)));
        let threads = raw.read::<MinidumpThreadList<'_>>();
        let stack = &threads.get_thread(1).unwrap().raw.stack;
        assert_eq!((stack.start_of_memory_range, stack.memory.data_size, stack.memory.rva), (0x1000, 0, 0));
    }
}

#[test]
fn without_its_memory_a_huge_dump_is_a_small_file() {
    let snapshot = rich();
    let huge = plan(&[(0x1000_0000, 6 << 30, Purpose::Full)], &[]);
    for omit in [&[5], &[9]] {
        let options = LayoutOptions { omit, ..LayoutOptions::default() };
        let layout = layout(&snapshot, &huge, &options).unwrap();
        assert!(!layout.uses_memory64());
        assert!(layout.total_size() < 16 << 10);
        assert_eq!(write(&layout, &BufferSource::new()).1.hole_bytes, 0);
    }
}

#[test]
fn a_type_that_no_stream_has_changes_nothing() {
    assert_eq!(encode_without(&[0, 0xffff_ffff, 0x4242_0001]).bytes, encode_without(&[]).bytes);
}

#[test]
fn without_the_hole_locator_there_is_no_table_of_holes() {
    let (snapshot, plan) = (rich(), stack_plan());
    let options = LayoutOptions { omit: &[HOLE_TABLE_STREAM], ..LayoutOptions::default() };
    let layout = layout(&snapshot, &plan, &options).unwrap();
    let (bytes, written) = write(&layout, &BufferSource::new());
    assert_eq!(written.hole_bytes, 0x60, "the caller still learns of them");
    let raw = Raw::new(bytes);
    let memory = raw.read::<MinidumpMemoryList<'_>>();
    assert!(memory.iter().all(|memory| memory.bytes.iter().all(|byte| *byte == 0)));
    assert_eq!(raw.bytes.len() as u64, layout.memory_offset() + 0x60);
}

/// The application's own idea of an environment.
struct Environ;

impl SectionWriter for Environ {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        Ok(MDRawDirectory { stream_type: self.section_type(), location: buffer.write_bytes(b"A=1\0")? })
    }

    fn section_type(&self) -> u32 {
        0x4767_0007
    }
}

#[test]
fn an_applications_stream_can_take_the_place_of_one_that_was_left_out() {
    let (snapshot, plan) = (rich(), stack_plan());
    let options =
        LayoutOptions { omit: &[0x4767_0007], extra_sections: &[&Environ], ..LayoutOptions::default() };
    let laid_out = layout(&snapshot, &plan, &options).unwrap();
    let raw = Raw::new(write(&laid_out, &full_source(&plan)).0);
    assert_eq!(raw.content(0x4767_0007), b"A=1\0");
    let twice = LayoutOptions { omit: &[], ..options };
    assert!(matches!(layout(&snapshot, &plan, &twice), Err(FormatError::DuplicateStream { .. })));
}
