//! What can go wrong with the memory map.

use crate::fixture::*;
use minidump_mach::KernReturn;
use minidump_mach::sim::{Call, Effect, SimArch, SimRegion, SimTask, When};
use minidump_snapshot::{RegionKind, Stage};

#[test]
fn regions_in_submaps_of_submaps_are_found() {
    let task = without_threads()
        .submap(0x5_0000_0000, 0x1000_0000)
        .submap(0x5_0010_0000, 0x10_0000)
        .submap(0x5_0014_0000, 0x1_0000)
        .region(0x5_0014_4000, 0x4000, SimRegion::data(30))
        .thread(main_thread())
        .build()
        .unwrap();
    let captured = captured(&task);
    let region = captured.snapshot.region_at(0x5_0014_4000).unwrap();
    assert_eq!((region.start, region.end, region.kind), (0x5_0014_4000, 0x5_0014_8000, RegionKind::Stack));
    assert_eq!(captured.snapshot.soft_errors, []);
    assert!(captured.snapshot.region_at(0x5_0014_0000).is_none(), "a submap itself is no region");
}

#[test]
fn submaps_without_end_are_left() {
    let mut builder = without_threads();
    for depth in 0..40 {
        builder = builder.submap(0x5_0000_0000, 0x1000_0000 - depth * 0x4000);
    }
    let task =
        builder.region(0x5_0000_0000, 0x4000, SimRegion::data(1)).thread(main_thread()).build().unwrap();
    let captured = captured(&task);
    assert_eq!(
        captured.snapshot.region_at(0x5_0000_0000).unwrap().protection,
        minidump_snapshot::Protection::empty()
    );
    assert_modules(&captured);
}

#[test]
fn a_map_that_does_not_ascend_ends() {
    let task = task();
    task.inject(Call::Region, When::From(8), Effect::Stuck);
    let captured = captured(&task);
    assert_error(&captured, Stage::MemoryMap, "its regions do not ascend");
    assert!(task.calls(Call::Region) < 20);
    assert_eq!(captured.snapshot.threads.len(), 2);
    assert_registers(thread(&captured, MAIN_ID), &main_cpu());
    assert_modules(&captured);
}

#[test]
fn a_region_of_no_bytes_ends_the_map() {
    let task = task();
    task.inject(Call::Region, When::From(5), Effect::Empty);
    let captured = captured(&task);
    assert_error(&captured, Stage::MemoryMap, "its regions do not ascend");
    assert_modules(&captured);
    assert_registers(thread(&captured, MAIN_ID), &main_cpu());
}

#[test]
fn a_map_that_fails_in_the_middle_keeps_its_beginning() {
    let task = task();
    task.inject(Call::Region, When::From(6), Effect::Fail(KernReturn::FAILURE));
    let captured = captured(&task);
    let error = captured.snapshot.soft_errors.iter().find(|error| error.stage == Stage::MemoryMap).unwrap();
    assert_eq!(
        (error.os_error, error.message.as_str()),
        (Some(5), "the memory map ends early: KERN_FAILURE")
    );
    assert_eq!(captured.snapshot.regions.len(), 5);
    assert_eq!(captured.snapshot.regions[0].start, EXE);
    assert_modules(&captured);
}

#[test]
fn without_a_map_there_are_registers_and_modules() {
    let task = task();
    task.inject(Call::Region, When::Always, Effect::Fail(KernReturn::FAILURE));
    let captured = captured(&task);
    assert!(captured.snapshot.regions.is_empty());
    assert_registers(thread(&captured, IDLE_ID), &idle_cpu());
    assert_modules(&captured);
    assert_error(&captured, Stage::Memory, "the stack pointer points at no stack");
}

#[test]
fn a_region_that_is_not_described_ends_the_map() {
    let task = task();
    task.inject(Call::Region, When::Nth(4), Effect::Short(9));
    let captured = captured(&task);
    assert_error(&captured, Stage::MemoryMap, "a region is not described");
    assert_modules(&captured);
}

#[test]
fn a_region_that_shrinks_between_listing_and_copying_leaves_a_hole() {
    let task = task();
    // The thread's state is read when the map has been listed; then the upper half of the stack goes away.
    let half = MAIN_STACK.0 + MAIN_STACK.1 - 0x4000;
    task.inject(Call::ThreadState, When::Nth(1), Effect::Unmap(half, MAIN_STACK.0 + MAIN_STACK.1));
    let captured = captured(&task);
    assert_error(&captured, Stage::Memory, "memory cannot be read: KERN_INVALID_ADDRESS");
    assert_eq!(memory(&captured, main_cpu().sp, 8), None);
    assert!(!captured.is_complete());
    assert_stack(&captured, idle_cpu().fp, 0x80, &IDLE_CALLERS);
    assert_modules(&captured);
}

#[test]
fn memory_up_to_the_end_of_the_address_space_is_no_loop() {
    let task = SimTask::builder(SimArch::Arm64)
        .image(&exe(), EXE)
        .region(u64::MAX - 0x3fff, 0x3fff, SimRegion::data(1))
        .thread(main_thread())
        .build()
        .unwrap();
    let captured = captured(&task);
    assert_eq!(captured.snapshot.regions.last().unwrap().end, u64::MAX);
    assert!(task.calls(Call::Region) < 20);
}

#[test]
fn memory_of_devices_is_never_read() {
    let mut cpu = main_cpu();
    cpu.sp = 0x3_0000_2000;
    cpu.pc = 0x3_0000_1000;
    let task = without_threads()
        .region(0x3_0000_0000, 0x4000, SimRegion::data(21))
        .thread(minidump_mach::sim::SimThread::new(1).with_cpu(&arm(cpu)))
        .build()
        .unwrap();
    let captured = captured(&task);
    let is_device = |start: u64| (0x3_0000_0000..0x3_0000_4000).contains(&start);
    assert!(captured.plan.ranges().iter().all(|range| !is_device(range.start)));
    assert_error(&captured, Stage::Memory, "the stack pointer points at no stack");
}
