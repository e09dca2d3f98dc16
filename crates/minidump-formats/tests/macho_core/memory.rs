//! Segments: the bytes of the plan, and nothing else.

use crate::build::{byte_at, bytes_at, empty, encode_from, encode_with, plan, region};
use minidump_formats::macho_core::{FormatError, Hole, MachoCoreOptions, layout};
use minidump_snapshot::{BufferSource, MemoryPlan, PlannedRange, Protection, Purpose};

fn segments(core: &crate::parse::Core) -> Vec<(u64, u64, u32)> {
    core.segments.iter().map(|segment| (segment.address, segment.size, segment.protection)).collect()
}

#[test]
fn a_range_is_cut_only_where_the_protection_changes() {
    let (read, write) = (Protection::READ, Protection::WRITE);
    let mut snapshot = empty();
    snapshot.regions = vec![
        region(0x1000, 0x3000, read | Protection::EXECUTE),
        region(0x3000, 0x8000, read | write),
        region(0x8000, 0xa000, read | write),
        region(0xa000, 0xb000, Protection::empty()),
    ];
    let plan = plan(&[
        (0x2f00, 0x200, Purpose::Code),
        (0x5000, 0x4000, Purpose::BlamedStack),
        (0xa800, 0x1000, Purpose::Stack),
    ]);
    let core = encode_from(&snapshot, &plan);
    let expected = [
        (0x2f00, 0x100, 5),
        (0x3000, 0x100, 3),
        (0x5000, 0x4000, 3),
        (0xa800, 0x800, 0),
        // What is not mapped was readable for somebody.
        (0xb000, 0x800, 1),
    ];
    assert_eq!(segments(&core), expected);
    for (address, size, _) in expected {
        assert_eq!(core.memory(address, size).unwrap(), bytes_at(address, size));
    }
}

#[test]
fn only_the_bytes_of_the_plan_are_there() {
    let mut snapshot = empty();
    snapshot.regions = vec![region(0, 0x1_0000, Protection::READ | Protection::EXECUTE)];
    let plan = plan(&[(0x1234, 8, Purpose::Code), (0x123d, 8, Purpose::Code), (0x2001, 3, Purpose::Code)]);
    let core = encode_from(&snapshot, &plan);
    assert_eq!(segments(&core), [(0x1234, 8, 5), (0x123d, 8, 5), (0x2001, 3, 5)]);
    assert_eq!(core.memory(0x123c, 1), None);
    assert_eq!(core.memory(0x123d, 8).unwrap(), bytes_at(0x123d, 8));
}

#[test]
fn a_map_that_breaks_its_promises_is_survived() {
    let mut snapshot = empty();
    let rights = Protection::READ;
    snapshot.regions = vec![
        region(0x5000, 0x7000, rights),
        region(0x6000, 0x8000, rights),
        region(0x1000, 0x2000, rights),
        region(0x9000, 0x9000, rights),
        region(0xb000, 0xa000, rights),
        region(u64::MAX - 0xfff, u64::MAX, rights),
    ];
    let plan = plan(&[
        (0x1800, 0x10, Purpose::Stack),
        (0x4ff8, 0x7000, Purpose::Code),
        (u64::MAX - 0x1010, 0x1010, Purpose::Code),
    ]);
    let core = encode_from(&snapshot, &plan);
    for range in plan.ranges() {
        for address in range.start..range.end() {
            assert_eq!(core.memory(address, 1).unwrap(), [byte_at(address)]);
        }
    }
}

#[test]
fn what_cannot_be_read_is_zero_and_recorded() {
    let snapshot = empty();
    let plan = plan(&[(0x4000, 0x10000, Purpose::Stack), (0x3_0000, 0x10, Purpose::Application)]);
    let mut source = BufferSource::new();
    assert!(source.insert(0x4000, bytes_at(0x4000, 0x4100)));
    assert!(source.insert(0x1_0000, bytes_at(0x1_0000, 0x4000)));
    let (core, written) = encode_with(&snapshot, &plan, &source, &MachoCoreOptions::default());
    // Pages have 16 KiB.
    let holes = [(0x8100, 0x7f00), (0x3_0000, 0x10)];
    let expected = holes.map(|(address, size)| Hole { address, size });
    assert_eq!((written.holes.as_slice(), written.hole_count), (expected.as_slice(), 2));
    assert_eq!(core.holes(), (2, 0x7f10, holes.to_vec()));
    assert_eq!(core.memory(0x4000, 0x4100).unwrap(), bytes_at(0x4000, 0x4100));
    assert_eq!(core.memory(0x8100, 0x7f00).unwrap(), vec![0; 0x7f00]);
    assert_eq!(core.memory(0x1_0000, 0x4000).unwrap(), bytes_at(0x1_0000, 0x4000));
}

#[test]
fn holes_beyond_the_capacity_are_counted() {
    let snapshot = empty();
    let plan = plan(&[(0x4000, 0x4_0000, Purpose::Stack)]);
    let mut source = BufferSource::new();
    for page in 0..8 {
        let address = 0x4000 + page * 0x8000;
        assert!(source.insert(address, bytes_at(address, 0x4000)));
    }
    let options = MachoCoreOptions { hole_capacity: 3, ..MachoCoreOptions::default() };
    let (core, written) = encode_with(&snapshot, &plan, &source, &options);
    assert_eq!((written.hole_count, written.hole_bytes), (8, 8 * 0x4000));
    let listed = vec![(0x8000, 0x4000), (0x1_0000, 0x4000), (0x1_8000, 0x4000)];
    assert_eq!(core.holes(), (8, 8 * 0x4000, listed));
}

#[test]
fn a_plan_over_the_end_of_the_address_space_is_refused() {
    let ranges = vec![PlannedRange { start: u64::MAX - 1, size: 3, purpose: Purpose::Stack }];
    let (snapshot, plan) = (empty(), MemoryPlan::from_ranges(ranges, vec![]));
    let error = layout(&snapshot, &plan, &MachoCoreOptions::default()).unwrap_err();
    assert!(matches!(error, FormatError::BadRange { size: 3, .. }));
}
