//! Header, directory and the order of the file.

use crate::build::{bytes_at, empty, encode, encode_from, full_source, plan, registers, thread};
use minidump_formats::minidump::{HOLE_TABLE_STREAM, THREAD_EXTRA_STREAM, XSAVE_LIST_STREAM};
use minidump_snapshot::{LinuxFacts, Purpose};

#[test]
fn the_header_is_microsofts_and_points_right_behind_itself() {
    let raw = encode(&empty());
    assert_eq!(&raw.bytes[..8], b"MDMP\x93\xa7\0\0");
    assert_eq!(raw.u32(8) as usize, raw.directory().len());
    assert_eq!(raw.u32(12), 32);
    assert_eq!(raw.u32(16), 0, "checksum");
    assert_eq!(raw.u32(20), 1_700_000_000);
    assert_eq!(raw.u64(24), 0x1000, "MiniDumpWithThreadInfo");
}

#[test]
fn the_flags_tell_of_handles_and_of_the_memory_map() {
    let mut snapshot = empty();
    snapshot.regions.push(crate::build::region(
        0x1000,
        0x2000,
        minidump_snapshot::Protection::READ,
        minidump_snapshot::RegionKind::Anonymous,
    ));
    assert_eq!(encode(&snapshot).u64(24), 0x1800);
    snapshot.handles.push(crate::handles::handle(3, minidump_snapshot::HandleKind::File, b"/x"));
    assert_eq!(encode(&snapshot).u64(24), 0x1804);
}

#[test]
fn the_directory_has_no_unused_and_no_double_entries() {
    let directory = encode(&empty()).directory();
    let mut types: Vec<u32> = directory.iter().map(|(stream_type, _, _)| *stream_type).collect();
    assert!(!types.contains(&0));
    let count = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), count);
}

#[test]
fn every_stream_lies_inside_the_file_and_none_overlaps_another() {
    let mut snapshot = empty();
    snapshot.threads.push(thread(1, registers(1)));
    let plan = plan(&[(0x1000, 0x100, Purpose::Stack)], &[]);
    let raw = encode_from(&snapshot, &plan, &full_source(&plan));
    let mut streams: Vec<(usize, usize)> =
        raw.directory().into_iter().map(|(_, offset, size)| (offset, size)).collect();
    streams.sort_unstable();
    let mut end = 32 + 12 * streams.len();
    for (offset, size) in streams {
        assert!(offset >= end && offset + size <= raw.bytes.len());
        end = offset + size;
    }
}

#[test]
fn the_order_is_that_of_importance_with_memory_and_holes_last() {
    let mut snapshot = empty();
    snapshot.threads.push(thread(1, registers(1)));
    snapshot.linux = Some(LinuxFacts { maps: Some(b"maps".to_vec()), ..LinuxFacts::default() });
    let plan = plan(&[(0x1000, 0x20, Purpose::Stack), (0x9000, 0x10, Purpose::BlamedStack)], &[]);
    let raw = encode_from(&snapshot, &plan, &full_source(&plan));
    let types: Vec<u32> = raw.directory().into_iter().map(|(stream_type, _, _)| stream_type).collect();
    let expected = [
        6,
        3,
        7,
        4,
        24,
        15,
        17,
        THREAD_EXTRA_STREAM,
        0x4767_0009,
        0x4d7a_0004,
        XSAVE_LIST_STREAM,
        HOLE_TABLE_STREAM,
        5,
    ];
    assert_eq!(types, expected);
    let offsets: Vec<usize> = raw.directory().into_iter().map(|(_, offset, _)| offset).collect();
    assert!(offsets.is_sorted());
    let (list, size) = raw.stream(5);
    let (first, _) = raw.location(list + 4 + 8);
    let (areas, _) = raw.stream(XSAVE_LIST_STREAM);
    let (area, area_size) = raw.location(areas + 16 + 8);
    assert!(area >= list + size, "XSAVE areas lie behind every stream");
    assert_eq!(first, (area + area_size).next_multiple_of(64), "memory lies behind the XSAVE areas");
    assert_eq!(raw.slice((first, 0x30)), [bytes_at(0x9000, 0x10), bytes_at(0x1000, 0x20)].concat());
    let (locator, _) = raw.stream(HOLE_TABLE_STREAM);
    let table = usize::try_from(raw.u64(locator + 8)).unwrap();
    assert!(table >= first + 0x30);
}
