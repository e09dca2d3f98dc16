//! Segments: the whole map, with the bytes of the plan.

use crate::build::{bytes_at, empty, encode_from, encode_with, file_region, full_source, plan, region};
use crate::parse::{Load, word32, word64};
use minidump_formats::elf_core::{CoreOptions, FormatError, HOLE_TABLE_NOTE, Hole, layout, wanted_ranges};
use minidump_snapshot::{
    BufferSource, MemoryPlan, Module, PlannedRange, Protection, Purpose, Region, Thread,
};

fn load(address: u64, memory_size: u64, file_size: u64, flags: u32) -> Load {
    Load { address, memory_size, file_size, flags }
}

fn module(base: u64, size: u64, path: &[u8]) -> Module {
    Module {
        base,
        size,
        path: path.to_vec(),
        soname: None,
        version: None,
        id: None,
        is_main: false,
        deleted: false,
    }
}

#[test]
fn a_region_is_cut_where_the_plan_begins_and_ends() {
    let mut snapshot = empty();
    snapshot.regions = vec![
        region(0x1000, 0x3000, Protection::READ | Protection::EXECUTE),
        region(0x3000, 0x8000, Protection::READ | Protection::WRITE),
        region(0x9000, 0xa000, Protection::empty()),
    ];
    let plan = plan(&[(0x2f00, 0x200, Purpose::Code), (0x5000, 0x1000, Purpose::BlamedStack)]);
    let core = encode_from(&snapshot, &plan);
    let expected = [
        load(0x1000, 0x1f00, 0, 5),
        load(0x2f00, 0x100, 0x100, 5),
        load(0x3000, 0x100, 0x100, 6),
        load(0x3100, 0x1f00, 0, 6),
        load(0x5000, 0x1000, 0x1000, 6),
        load(0x6000, 0x2000, 0, 6),
        load(0x9000, 0x1000, 0, 0),
    ];
    assert_eq!(core.loads(), expected);
    assert_eq!(core.memory(0x2f00, 0x100).unwrap(), bytes_at(0x2f00, 0x100));
    assert_eq!(core.memory(0x3000, 0x100).unwrap(), bytes_at(0x3000, 0x100));
    assert_eq!(core.memory(0x5000, 0x1000).unwrap(), bytes_at(0x5000, 0x1000));
    assert_eq!(core.memory(0x6000, 1), None);
}

#[test]
fn memory_lies_in_the_order_of_the_plan_from_a_page_boundary_on() {
    let snapshot = empty();
    let plan = plan(&[(0x1000, 0x10, Purpose::Stack), (0x5000, 0x20, Purpose::BlamedStack)]);
    let layout = layout(&snapshot, &plan, &CoreOptions::default()).unwrap();
    let memory = usize::try_from(layout.memory_offset()).unwrap();
    assert_eq!(memory % 4096, 0);
    let core = encode_from(&snapshot, &plan);
    assert_eq!(core.bytes[memory..memory + 0x20], bytes_at(0x5000, 0x20));
    assert_eq!(core.bytes[memory + 0x20..memory + 0x30], bytes_at(0x1000, 0x10));
}

#[test]
fn what_is_kept_outside_the_map_is_a_readable_segment() {
    let mut snapshot = empty();
    snapshot.regions = vec![region(0x2000, 0x3000, Protection::WRITE)];
    let plan = plan(&[(0x1f00, 0x1200, Purpose::Stack), (u64::MAX - 16, 16, Purpose::Code)]);
    let core = encode_from(&snapshot, &plan);
    let expected = [
        load(0x1f00, 0x100, 0x100, 4),
        load(0x2000, 0x1000, 0x1000, 2),
        load(0x3000, 0x100, 0x100, 4),
        load(u64::MAX - 16, 16, 16, 4),
    ];
    assert_eq!(core.loads(), expected);
    assert_eq!(core.memory(0x3000, 0x100).unwrap(), bytes_at(0x3000, 0x100));
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
    let plan = plan(&[(0x1800, 0x10, Purpose::Stack), (0x6ff8, 0x10, Purpose::Code)]);
    let core = encode_from(&snapshot, &plan);
    assert_eq!(core.memory(0x1800, 0x10).unwrap(), bytes_at(0x1800, 0x10));
    assert_eq!(core.memory(0x6ff8, 0x8).unwrap(), bytes_at(0x6ff8, 0x8));
    assert_eq!(core.memory(0x7000, 0x8).unwrap(), bytes_at(0x7000, 0x8));
    let loads = core.loads();
    assert!(loads.windows(2).all(|pair| pair[0].address + pair[0].memory_size <= pair[1].address));
}

#[test]
fn what_cannot_be_read_is_zero_and_recorded() {
    let snapshot = empty();
    let plan = plan(&[(0x1000, 0x4000, Purpose::Stack)]);
    let mut source = BufferSource::new();
    assert!(source.insert(0x1000, bytes_at(0x1000, 0x1000)));
    assert!(source.insert(0x4000, bytes_at(0x4000, 0x1000)));
    let (core, written) = encode_with(&snapshot, &plan, &source, &CoreOptions::default());
    assert_eq!(written.holes, [Hole { address: 0x2000, size: 0x2000 }]);
    assert_eq!(core.memory(0x2000, 0x2000).unwrap(), [0; 0x2000]);
    assert_eq!(core.memory(0x4000, 0x1000).unwrap(), bytes_at(0x4000, 0x1000));
    let locator = core.only(HOLE_TABLE_NOTE);
    assert_eq!((word32(&locator, 0), word32(&locator, 4)), (24, 16));
    let table = usize::try_from(word64(&locator, 8)).unwrap();
    assert_eq!(table % 8, 0);
    let words: Vec<u64> = (0..4).map(|index| word64(&core.bytes, table + 8 * index)).collect();
    assert_eq!(words, [1, 0x2000, 0x2000, 0x2000]);
    let entries = usize::try_from(word32(&locator, 16)).unwrap();
    assert_eq!(core.bytes.len(), table + 16 + 16 * entries, "the table is the end of the file");
}

#[test]
fn a_complete_source_needs_no_table_of_holes() {
    let snapshot = empty();
    let plan = plan(&[(0x1000, 13, Purpose::Stack)]);
    let options = CoreOptions { source_is_complete: true, ..CoreOptions::default() };
    let (core, _) = encode_with(&snapshot, &plan, &full_source(&plan), &options);
    assert!(core.all(HOLE_TABLE_NOTE).is_empty());
    assert_eq!(core.bytes.len() % 4096, 13);
}

#[test]
fn a_plan_over_the_end_of_the_address_space_is_refused() {
    let ranges = vec![PlannedRange { start: u64::MAX - 1, size: 3, purpose: Purpose::Stack }];
    let (snapshot, plan) = (empty(), MemoryPlan::from_ranges(ranges, vec![]));
    let error = layout(&snapshot, &plan, &CoreOptions::default()).unwrap_err();
    assert!(matches!(error, FormatError::BadRange { size: 3, .. }));
}

#[test]
fn debuggers_want_the_first_page_of_each_module_and_all_of_the_vdso() {
    let mut snapshot = empty();
    let modules: [(u64, u64, &[u8]); 3] = [
        (0x40_0000, 0x10_0000, b"/bin/x"),
        (0x7000_0000, 0x800, b"/lib/small.so"),
        (0x7100_0000, 0x1800, b"linux-gate.so"),
    ];
    for (base, size, path) in modules {
        snapshot.modules.push(module(base, size, path));
    }
    let expected = [(0x40_0000, 4096), (0x7000_0000, 0x800), (0x7100_0000, 0x1800)];
    assert_eq!(wanted_ranges(&snapshot), expected);
}

#[test]
fn debuggers_want_what_libthread_db_reads() {
    let mut snapshot = empty();
    let (read, write) = (Protection::READ, Protection::WRITE);
    let file =
        |start, end, protection| Region { protection, ..file_region(start, end, 0, b"/lib/libc.so.6") };
    snapshot.regions = vec![
        file(0x1_0000, 0x2_0000, read | Protection::EXECUTE),
        file(0x2_0000, 0x3_0000, read),
        file(0x3_0000, 0x3_4000, read),
        file(0x3_4000, 0x3_6000, read | write),
        region(0x3_6000, 0x5_0000, read | write),
        region(0x7_0000, 0x7_2000, read | write),
    ];
    snapshot.modules = vec![module(0x1_0000, 0x2_8000, b"/lib/libc.so.6")];
    let mut with_pointer = Thread::new(1);
    with_pointer.thread_pointer = Some(0x7_1000);
    let mut at_the_end = Thread::new(2);
    at_the_end.thread_pointer = Some(0x7_1f00);
    let mut nowhere = Thread::new(3);
    nowhere.thread_pointer = Some(0x9_0000);
    snapshot.threads = vec![with_pointer, at_the_end, nowhere, Thread::new(4)];
    let expected =
        [(0x1_0000, 0x1000), (0x7_0c00, 0xe00), (0x7_1b00, 0x500), (0x3_0000, 0x4000), (0x3_4000, 0x2000)];
    assert_eq!(wanted_ranges(&snapshot), expected);
}
