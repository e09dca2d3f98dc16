//! Memory: list, bytes and holes.

use crate::build::{bytes_at, empty, encode, encode_from, full_source, plan, write};
use crate::raw::Raw;
use minidump::MinidumpMemoryList;
use minidump_formats::minidump::{HOLE_TABLE_STREAM, Hole, LayoutOptions, layout};
use minidump_snapshot::{BufferSource, MemoryPlan, MemorySource, Purpose, ReadEnd, ReadOutcome};
use std::cell::Cell;

const PAGE: u64 = 4096;

/// The range 0x10000..0x14000, four pages.
fn four_pages() -> MemoryPlan {
    plan(&[(0x10000, 4 * PAGE, Purpose::Stack)], &[])
}

fn source_of(pieces: &[(u64, u64)]) -> BufferSource {
    let mut source = BufferSource::new();
    for (address, size) in pieces {
        assert!(source.insert(*address, bytes_at(*address, *size)));
    }
    source
}

/// The memory of a file with one range.
fn memory(raw: &Raw) -> &[u8] {
    let (list, _) = raw.stream(5);
    raw.slice(raw.location(list + 4 + 8))
}

/// Count, bytes and capacity of the hole table, and all its entries.
fn hole_table(raw: &Raw) -> (u64, u64, u32, Vec<(u64, u64)>) {
    let (locator, size) = raw.stream(HOLE_TABLE_STREAM);
    assert_eq!((size, raw.u32(locator), raw.u32(locator + 4), raw.u32(locator + 20)), (24, 24, 16, 0));
    let table = usize::try_from(raw.u64(locator + 8)).unwrap();
    let capacity = raw.u32(locator + 16);
    assert_eq!(table + 16 + 16 * capacity as usize, raw.bytes.len(), "the table is the end of the file");
    let entry = |index: usize| (raw.u64(table + 16 + 16 * index), raw.u64(table + 24 + 16 * index));
    let entries = (0..capacity as usize).map(entry).collect();
    (raw.u64(table), raw.u64(table + 8), capacity, entries)
}

fn check_holes(source: &dyn MemorySource, expected: &[(u64, u64)]) {
    let snapshot = empty();
    let plan = four_pages();
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    let (bytes, written) = write(&layout, source);
    let raw = Raw::new(bytes);
    let mut memory_expected = bytes_at(0x10000, 4 * PAGE);
    for (address, size) in expected {
        let start = usize::try_from(address - 0x10000).unwrap();
        memory_expected[start..start + usize::try_from(*size).unwrap()].fill(0);
    }
    assert!(memory(&raw) == memory_expected, "memory with zeros in the holes");
    let holes: Vec<_> = written.holes.iter().map(|hole| (hole.address, hole.size)).collect();
    assert_eq!(holes, expected);
    assert_eq!(written.hole_count, expected.len() as u64);
    let (count, bytes, _, entries) = hole_table(&raw);
    assert_eq!(count, expected.len() as u64);
    assert_eq!(bytes, expected.iter().map(|(_, size)| size).sum::<u64>());
    assert_eq!(written.hole_bytes, bytes);
    assert_eq!(entries[..expected.len()], *expected);
    assert!(entries[expected.len()..].iter().all(|entry| *entry == (0, 0)));
}

#[test]
fn the_list_names_every_range_in_the_order_of_the_plan() {
    let plan = plan(
        &[
            (0x1000, 0x10, Purpose::Stack),
            (0x9000, 0x23, Purpose::BlamedStack),
            (0x5000, 7, Purpose::Code),
            (0x0800, 5, Purpose::Stack),
        ],
        &[],
    );
    let raw = encode_from(&empty(), &plan, &full_source(&plan));
    let (_, size) = raw.stream(5);
    assert_eq!(size, 4 + 4 * 16);
    let list = raw.read::<MinidumpMemoryList<'_>>();
    let found: Vec<_> = list.iter().map(|memory| (memory.base_address, memory.bytes.to_vec())).collect();
    let expected = [(0x9000, 0x23), (0x5000, 7), (0x0800, 5), (0x1000, 0x10)];
    let expected: Vec<_> =
        expected.into_iter().map(|(address, size)| (address, bytes_at(address, size))).collect();
    assert_eq!(found, expected);
}

#[test]
fn memory_begins_on_a_multiple_of_16() {
    for name_length in 0..20 {
        let mut snapshot = empty();
        snapshot.system.description = "x".repeat(name_length);
        let plan = four_pages();
        let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
        assert_eq!(layout.memory_offset() % 16, 0);
    }
}

#[test]
fn an_empty_plan_is_an_empty_list() {
    let raw = encode(&empty());
    assert_eq!(raw.content(5), [0; 4]);
    assert_eq!(raw.read::<MinidumpMemoryList<'_>>().iter().count(), 0);
    assert_eq!(hole_table(&raw), (0, 0, 0, vec![]));
}

#[test]
fn complete_memory_has_no_holes() {
    check_holes(&source_of(&[(0x10000, 4 * PAGE)]), &[]);
}

#[test]
fn a_hole_inside_is_zero_and_recorded() {
    check_holes(&source_of(&[(0x10000, PAGE), (0x12000, 2 * PAGE)]), &[(0x11000, PAGE)]);
}

#[test]
fn a_hole_that_begins_inside_a_page_ends_with_it() {
    check_holes(&source_of(&[(0x10000, 0x800), (0x11000, 3 * PAGE)]), &[(0x10800, 0x800)]);
}

#[test]
fn two_unreadable_pages_are_one_hole() {
    check_holes(&source_of(&[(0x10000, PAGE), (0x13000, PAGE)]), &[(0x11000, 2 * PAGE)]);
}

#[test]
fn a_hole_at_the_end_and_one_at_the_start() {
    check_holes(&source_of(&[(0x11000, 2 * PAGE)]), &[(0x10000, PAGE), (0x13000, PAGE)]);
}

#[test]
fn memory_that_is_not_there_at_all_is_one_hole() {
    check_holes(&BufferSource::new(), &[(0x10000, 4 * PAGE)]);
}

#[test]
fn a_hole_never_shows_what_was_read_before_it() {
    let plan = plan(&[(0x10000, PAGE, Purpose::BlamedStack), (0x20000, PAGE, Purpose::Stack)], &[]);
    let raw = encode_from(&empty(), &plan, &source_of(&[(0x10000, PAGE)]));
    let (list, _) = raw.stream(5);
    assert!(raw.slice(raw.location(list + 4 + 8)) == bytes_at(0x10000, PAGE));
    assert!(raw.slice(raw.location(list + 4 + 16 + 8)).iter().all(|byte| *byte == 0));
}

/// A source that breaks the contract: it claims more than it was asked for, or success with nothing read.
struct Liar(usize);

impl MemorySource for Liar {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        buffer.fill(0xee);
        if self.0 > 0 {
            buffer.copy_from_slice(&bytes_at(address, buffer.len() as u64));
        }
        ReadOutcome::complete(self.0)
    }
}

#[test]
fn a_source_that_claims_too_much_is_cut_to_size() {
    check_holes(&Liar(usize::MAX), &[]);
}

#[test]
fn a_source_that_reads_nothing_and_calls_it_complete_does_not_hang_the_writer() {
    check_holes(&Liar(0), &[(0x10000, 4 * PAGE)]);
}

/// A target that is gone after its first page.
struct Dying(Cell<u32>);

impl MemorySource for Dying {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        self.0.set(self.0.get() + 1);
        let page = usize::try_from(PAGE).unwrap();
        buffer[..page].copy_from_slice(&bytes_at(address, PAGE));
        ReadOutcome { done: page, end: ReadEnd::Gone }
    }
}

#[test]
fn a_target_that_is_gone_is_not_asked_again() {
    let source = Dying(Cell::new(0));
    check_holes(&source, &[(0x11000, 3 * PAGE)]);
    assert_eq!(source.0.get(), 1);
}

/// Every second page is unreadable.
struct Comb;

impl MemorySource for Comb {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let readable = (address / PAGE).is_multiple_of(2);
        let left = usize::try_from(PAGE - address % PAGE).unwrap();
        let done = if readable { left.min(buffer.len()) } else { 0 };
        buffer[..done].copy_from_slice(&bytes_at(address, done as u64));
        if done == buffer.len() {
            ReadOutcome::complete(done)
        } else {
            ReadOutcome::unreadable(done, Some(14))
        }
    }
}

#[test]
fn holes_beyond_the_capacity_are_counted() {
    let snapshot = empty();
    let plan = plan(&[(0x10000, 20 * PAGE, Purpose::Stack)], &[]);
    let options = LayoutOptions { hole_capacity: 3, ..LayoutOptions::default() };
    let layout = layout(&snapshot, &plan, &options).unwrap();
    let (bytes, written) = write(&layout, &Comb);
    let kept: Vec<_> = (0..3).map(|index| (0x11000 + 2 * PAGE * index, PAGE)).collect();
    assert_eq!(hole_table(&Raw::new(bytes)), (10, 10 * PAGE, 3, kept.clone()));
    assert_eq!((written.hole_count, written.hole_bytes), (10, 10 * PAGE));
    let expected: Vec<_> = kept.into_iter().map(|(address, size)| Hole { address, size }).collect();
    assert_eq!(written.holes, expected);
}

#[test]
fn the_table_has_room_for_every_hole_a_small_plan_can_have() {
    let snapshot = empty();
    // Three pages are touched; the first and the last are unreadable.
    let plan = plan(&[(0x11fff, PAGE + 2, Purpose::Stack), (0x21000, 1, Purpose::Stack)], &[]);
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    let (bytes, _) = write(&layout, &Comb);
    let (count, _, capacity, entries) = hole_table(&Raw::new(bytes));
    assert_eq!((count, capacity), (3, 3));
    assert_eq!(entries, [(0x11fff, 1), (0x13000, 1), (0x21000, 1)]);
}

#[test]
fn a_source_known_to_be_complete_has_no_table_but_its_holes_are_still_told() {
    let snapshot = empty();
    let plan = four_pages();
    let options = LayoutOptions { source_is_complete: true, ..LayoutOptions::default() };
    let layout = layout(&snapshot, &plan, &options).unwrap();
    let (bytes, written) = write(&layout, &source_of(&[(0x10000, PAGE)]));
    let raw = Raw::new(bytes);
    assert_eq!(raw.find(HOLE_TABLE_STREAM), None);
    assert_eq!(layout.total_size(), layout.memory_offset() + 4 * PAGE);
    assert_eq!(written.holes, [Hole { address: 0x11000, size: 3 * PAGE }]);
    assert!(memory(&raw)[4096..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_range_larger_than_the_buffer_is_read_in_pieces_and_comes_out_whole() {
    let plan = plan(&[(0x10_0123, (256 << 10) * 2 + 77, Purpose::Stack)], &[]);
    let raw = encode_from(&empty(), &plan, &full_source(&plan));
    assert!(memory(&raw) == bytes_at(0x10_0123, (256 << 10) * 2 + 77));
}

/// Notes the largest buffer it was given.
struct Measuring(Cell<usize>);

impl MemorySource for Measuring {
    fn read(&self, _: u64, buffer: &mut [u8]) -> ReadOutcome {
        self.0.set(self.0.get().max(buffer.len()));
        ReadOutcome::complete(buffer.len())
    }
}

#[test]
fn no_more_than_64_kib_of_memory_are_held_at_a_time() {
    let plan = plan(&[(0x10_0000, 3 << 20, Purpose::Stack)], &[]);
    let source = Measuring(Cell::new(0));
    let _ = encode_from(&empty(), &plan, &source);
    assert_eq!(source.0.get(), 64 << 10);
}

/// Has in memory what lies below the address, and has the rest read. Gives more than it was asked for.
struct HalfHeld<'a>(&'a BufferSource, u64);

impl MemorySource for HalfHeld<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        self.0.read(address, buffer)
    }

    fn slice(&self, address: u64, _: usize) -> &[u8] {
        let size = usize::try_from(self.1.saturating_sub(address)).unwrap();
        self.0.slice(address, size)
    }
}

#[test]
fn memory_comes_out_the_same_whether_it_is_read_or_taken_from_where_it_lies() {
    let ranges = [
        (0x10000, 300 << 10, Purpose::BlamedStack),
        (0x8_0000, 5, Purpose::Stack),
        (0x9_0001, PAGE, Purpose::Code),
    ];
    let plan = plan(&ranges, &[]);
    let source = full_source(&plan);
    let expected: Vec<u8> =
        plan.ranges().iter().flat_map(|range| bytes_at(range.start, range.size)).collect();
    for held in [0, 0x10000, 0x10001, 0x2_0007, 0x8_0002, 0x9_0002, u64::MAX] {
        let raw = encode_from(&empty(), &plan, &HalfHeld(&source, held));
        let start = raw.location(raw.stream(5).0 + 4 + 8).0;
        assert!(raw.slice((start, expected.len())) == expected, "{held:#x}");
    }
}
