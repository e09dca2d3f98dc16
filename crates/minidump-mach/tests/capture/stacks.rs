//! Where stacks lie, and where stack pointers point.

use crate::fixture::*;
use minidump_mach::sim::{Call, Effect, SimArch, SimRegion, SimTask, SimThread, When};
use minidump_mach::{Captured, KernReturn};
use minidump_snapshot::cpu::Arm64State;
use minidump_snapshot::{Protection, SoftError, Stage};

const STACK: (u64, u64) = (0x1_6f00_0000, 0x8_0000);

/// A task whose only thread has the stack pointer `sp`.
fn with_sp(sp: u64) -> SimTask {
    let cpu = Arm64State { pc: EXE + 0x2010, sp, fp: sp, ..Arm64State::default() };
    SimTask::builder(SimArch::Arm64)
        .image(&exe(), EXE)
        .stack(STACK.0, STACK.1)
        .thread(SimThread::new(1).with_cpu(&arm(cpu)))
        .build()
        .unwrap()
}

fn window(captured: &Captured<'_>) -> (u64, u64) {
    let stack = captured.plan.stack_of(captured.snapshot.threads[0].id).unwrap();
    (stack.start, stack.start + stack.size)
}

fn lost(captured: &Captured<'_>) -> bool {
    let is_lost = |error: &SoftError| error.message == "the stack pointer points at no stack";
    captured.snapshot.soft_errors.iter().any(is_lost)
}

#[test]
fn a_stack_is_kept_from_the_red_zone_to_its_end() {
    let sp = STACK.0 + 0x7_0100;
    let task = with_sp(sp);
    let captured = captured(&task);
    assert_eq!(window(&captured), (sp - 128, STACK.0 + STACK.1));
    assert!(captured.is_complete());
}

#[test]
fn a_stack_pointer_of_0_or_in_the_void_is_told() {
    for sp in [0, 0x6666_0000_0000, u64::MAX] {
        let task = with_sp(sp);
        let captured = captured(&task);
        assert!(lost(&captured), "{sp:#x}");
        assert_eq!(captured.plan.stack_of(1), None);
        assert_eq!(captured.snapshot.threads[0].stack_pointer(), Some(sp));
    }
}

#[test]
fn a_stack_pointer_in_the_guard_page_finds_the_stack_above() {
    let task = with_sp(STACK.0 - 0x100);
    let captured = captured(&task);
    assert_eq!(window(&captured), (STACK.0, STACK.0 + STACK.1));
    assert!(captured.is_complete());
}

#[test]
fn a_stack_pointer_at_the_last_byte_of_the_stack_keeps_what_is_below() {
    let end = STACK.0 + STACK.1;
    let task = with_sp(end - 1);
    let captured = captured(&task);
    assert_eq!(window(&captured), ((end - 129) & !63, end));
}

#[test]
fn a_stack_pointer_behind_the_stack_is_told() {
    let task = with_sp(STACK.0 + STACK.1);
    assert!(lost(&captured(&task)));
}

#[test]
fn a_stack_in_other_memory_is_kept_as_well() {
    let cpu = Arm64State { sp: 0x7_0000_1000, ..main_cpu() };
    let task = without_threads()
        .region(0x7_0000_0000, 0x4000, SimRegion::data(1))
        .thread(SimThread::new(1).with_cpu(&arm(cpu)))
        .build()
        .unwrap();
    assert_eq!(window(&captured(&task)), (0x7_0000_1000 - 128, 0x7_0000_4000));
}

#[test]
fn a_stack_pointer_in_code_is_no_reason_to_give_up() {
    let task = with_sp(EXE + 0x2100);
    let captured = captured(&task);
    assert_eq!(captured.snapshot.threads.len(), 1);
    assert!(captured.is_complete());
}

#[test]
fn a_stack_in_three_regions_is_followed_and_what_is_no_stack_is_not() {
    let base = 0x7_0000_0000;
    let read_write = SimRegion::data(30);
    let task = SimTask::builder(SimArch::Arm64)
        .image(&exe(), EXE)
        .region(base, 0x4000, read_write)
        .region(base + 0x4000, 0x4000, SimRegion { share_mode: 1, ..read_write })
        .region(base + 0x8000, 0x4000, read_write)
        .region(base + 0xc000, 0x4000, SimRegion::data(1))
        .thread(SimThread::new(1).with_cpu(&arm(Arm64State { sp: base + 0x1000, ..main_cpu() })))
        .build()
        .unwrap();
    assert_eq!(window(&captured(&task)), (base + 0x1000 - 128, base + 0xc000));
}

#[test]
fn of_a_stack_of_a_gibibyte_a_mebibyte_is_kept_of_both_ends() {
    let base = 0x10_0000_0000;
    let size = 1 << 30;
    let cpu = Arm64State { sp: base + 0x100, fp: 0, ..main_cpu() };
    let task = SimTask::builder(SimArch::Arm64)
        .image(&exe(), EXE)
        .stack(base, size)
        .frames(base + size - 0x100, 0x20, &[EXE + 0x2040])
        .thread(SimThread::new(1).with_cpu(&arm(cpu)))
        .build()
        .unwrap();
    let captured = captured(&task);
    assert_eq!(window(&captured).0, base + 0x80);
    let total: u64 =
        captured.plan.ranges().iter().filter(|range| range.purpose.is_stack()).map(|range| range.size).sum();
    assert!((1 << 20..(1 << 20) + 4096).contains(&total), "{total}");
    assert_stack(&captured, base + size - 0x100, 0x20, &[EXE + 0x2040]);
}

#[test]
fn the_thread_block_ends_the_stack_where_the_heap_lies_behind() {
    let base = 0x7_0000_0000;
    let task = SimTask::builder(SimArch::Arm64)
        .image(&exe(), EXE)
        .region(base, 0x10_0000, SimRegion::data(30))
        .thread(
            SimThread::new(1)
                .with_cpu(&arm(Arm64State { sp: base + 0x1000, ..main_cpu() }))
                .with_handle(base + 0x8_00e0),
        )
        .build()
        .unwrap();
    let (_, end) = window(&captured(&task));
    assert_eq!(end, base + 0x8_1000);
}

#[test]
fn a_page_of_a_stack_that_cannot_be_read_leaves_a_hole_and_the_rest() {
    let sp = STACK.0 + 0x7_0000;
    let task = with_sp(sp);
    let hole = (STACK.0 + 0x7_8000, STACK.0 + 0x7_c000);
    // The map still says that it can be read.
    task.inject(Call::ThreadState, When::Nth(1), Effect::Unmap(hole.0, hole.1));
    let captured = captured(&task);
    assert!(memory(&captured, sp, 0x8000).is_some());
    assert_eq!(memory(&captured, hole.0, 1), None);
    assert!(memory(&captured, hole.1, 0x4000).is_some());
    let error = captured.snapshot.soft_errors.iter().find(|error| error.stage == Stage::Memory).unwrap();
    assert_eq!((error.address, error.size, error.os_error), (Some(hole.0), Some(0x4000), Some(1)));
}

#[test]
fn a_short_read_is_continued() {
    let sp = STACK.0 + 0x7_0000;
    let task = with_sp(sp);
    assert_eq!(task.poke(sp + 0x8000, b"deep in the stack"), 17);
    task.inject(Call::Read, When::Always, Effect::Short(1000));
    let captured = captured(&task);
    assert_eq!(captured.snapshot.soft_errors, []);
    assert_eq!(memory(&captured, sp + 0x8000, 17).as_deref(), Some(&b"deep in the stack"[..]));
    assert!(captured.is_complete());
}

#[test]
fn a_read_that_gives_nothing_is_no_loop() {
    let task = with_sp(STACK.0 + 0x7_0000);
    task.inject(Call::Read, When::Always, Effect::Short(0));
    let captured = captured(&task);
    assert_eq!(captured.snapshot.threads[0].stack_pointer(), Some(STACK.0 + 0x7_0000));
    assert!(!captured.is_complete());
    assert!(task.calls(Call::Read) < 2000);
}

#[test]
fn without_any_memory_there_are_threads_and_a_map() {
    let task = task();
    task.inject(Call::Read, When::Always, Effect::Fail(KernReturn::PROTECTION_FAILURE));
    let captured = captured(&task);
    assert_registers(thread(&captured, MAIN_ID), &main_cpu());
    assert!(captured.snapshot.modules.is_empty());
    assert!(captured.snapshot.region_at(EXE).is_some());
    assert_error(&captured, Stage::Memory, "memory cannot be read: KERN_PROTECTION_FAILURE");
    assert_error(&captured, Stage::Loader, "no main executable was found");
}

#[test]
fn a_read_that_fails_once_is_tried_in_pieces() {
    let task = task();
    for nth in [4, 9, 16, 25, 36, 40] {
        task.inject(Call::Read, When::Nth(nth), Effect::Fail(KernReturn::FAILURE));
    }
    let captured = captured(&task);
    assert_threads(&captured);
    assert!(captured.is_complete());
}

#[test]
fn guard_pages_are_never_in_the_dump() {
    let task = task();
    let captured = captured(&task);
    for range in captured.plan.ranges() {
        let region = captured.snapshot.region_at(range.start).unwrap();
        assert!(region.protection.contains(Protection::READ));
    }
}
