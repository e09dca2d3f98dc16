//! All memory, read from the task while it stands still.

use crate::fixture::*;
use minidump_mach::sim::{Call, Effect, SimRegion, SimTask, When};
use minidump_mach::{CaptureOptions, Captured, PlanKind, capture};
use minidump_snapshot::{MemoryMode, MemoryPolicy, MemorySource, Protection, ReadEnd};

fn options(plan: PlanKind) -> CaptureOptions {
    let memory = MemoryPolicy { mode: MemoryMode::Full, ..MemoryPolicy::default() };
    CaptureOptions { plan, memory, ..CaptureOptions::default() }
}

fn full(task: &SimTask) -> Captured<'_> {
    let captured = capture(task, &options(PlanKind::Core), None).unwrap();
    check(&captured);
    captured
}

fn holds(captured: &Captured<'_>, address: u64) -> bool {
    captured.plan.ranges().iter().any(|range| range.start <= address && address < range.end())
}

#[test]
fn the_task_stands_still_until_its_memory_is_no_longer_needed() {
    let task = task();
    let captured = full(&task);
    assert_eq!(task.suspend_count(), 1);
    assert_usable(&captured);
    drop(captured);
    assert_eq!(task.suspend_count(), 0);
    full(&task).finish();
    assert_eq!(task.suspend_count(), 0);
    let Captured { snapshot, memory, .. } = full(&task);
    drop(snapshot);
    assert_eq!(task.suspend_count(), 1, "the memory holds it");
    drop(memory);
    assert_eq!(task.suspend_count(), 0);
}

#[test]
fn all_readable_memory_is_planned_and_can_be_read() {
    let task = builder().region(0x7_0000_0000, 0x10_0000, SimRegion::data(1)).build().unwrap();
    task.poke(0x7_0008_0000, b"on the heap");
    let captured = full(&task);
    assert_eq!(captured.snapshot.soft_errors, []);
    for address in [EXE, EXE + 0x4000, MAIN_STACK.0, 0x7_0000_0000, C_DATA] {
        assert!(holds(&captured, address), "{address:#x}");
    }
    assert_eq!(memory(&captured, 0x7_0008_0000, 11).as_deref(), Some(&b"on the heap"[..]));
    assert!(!captured.is_complete(), "it was not copied");
}

#[test]
fn the_code_of_the_shared_cache_is_left_out_unless_asked_for() {
    let task = task();
    let captured = full(&task);
    assert!(!holds(&captured, KERNEL_LIB) && holds(&captured, C_DATA));
    assert!(holds(&captured, IDLE_LR - 4) && !holds(&captured, IDLE_PC), "but what a debugger needs of it");
    drop(captured);
    let captured = capture(&task, &options(PlanKind::Minidump), None).unwrap();
    assert!(holds(&captured, IDLE_PC), "or a minidump");
    assert!(!holds(&captured, IDLE_PC + 0x400));
    drop(captured);
    let options = CaptureOptions { shared_cache: true, ..options(PlanKind::Core) };
    let captured = capture(&task, &options, None).unwrap();
    assert!(holds(&captured, KERNEL_LIB));
}

#[test]
fn memory_that_goes_away_while_it_is_written_is_told_by_the_read() {
    let task = builder().region(0x7_0000_0000, 0x10_0000, SimRegion::data(1)).build().unwrap();
    let captured = full(&task);
    task.unmap(0x7_0000_8000, 0x7_0010_0000);
    let mut buffer = vec![0; 0x1_0000];
    let outcome = captured.memory.read(0x7_0000_0000, &mut buffer);
    assert_eq!((outcome.done, outcome.end), (0x8000, ReadEnd::Unreadable { os_error: Some(1) }));
    task.inject(Call::Read, When::Always, Effect::Fail(minidump_mach::KernReturn::INVALID_DESTINATION));
    assert_eq!(captured.memory.read(0x7_0000_0000, &mut buffer).end, ReadEnd::Gone);
}

#[test]
fn stacks_are_those_that_were_copied() {
    let task = task();
    let captured = full(&task);
    // What nothing else does while the task stands still.
    task.poke(main_cpu().fp, &[0xff; 16]);
    assert_stack(&captured, main_cpu().fp, 0x40, &MAIN_CALLERS);
    let whole = memory(&captured, MAIN_STACK.0, MAIN_STACK.1 as usize).unwrap();
    assert_eq!(whole.len(), MAIN_STACK.1 as usize, "part copied, part read from the task");
}

#[test]
fn what_cannot_be_read_is_not_planned() {
    let task = task();
    task.protect(EXE + 0x4000, EXE + 0x8000, Protection::empty());
    let captured = full(&task);
    assert!(!holds(&captured, EXE + 0x4000));
    assert!(!holds(&captured, MAIN_STACK.0 - 1), "the guard page");
    assert_threads(&captured);
}
