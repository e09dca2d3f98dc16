//! The calling process captures itself.

use crate::fixture::*;
use minidump_mach::sim::{Call, Effect, SimTask, SimThread, When};
use minidump_mach::{
    CaptureOptions, Captured, CrashedThread, KernReturn, MachCrash, MachException, PlanKind, RawState,
    capture,
};
use minidump_snapshot::{MemoryMode, MemoryPolicy, Stage};

/// The fixture's process, whose main thread is the calling one.
fn own_task() -> SimTask {
    builder().called_by_thread(0).build().unwrap()
}

fn own(task: &SimTask) -> Captured<'_> {
    let captured = capture(task, &CaptureOptions::default(), None).unwrap();
    check(&captured);
    assert_eq!(task.calls(Call::Suspend), 0, "the task itself is never suspended");
    captured
}

#[test]
fn exactly_the_other_threads_are_suspended_and_exactly_those_resumed() {
    let task = own_task();
    task.set_thread_suspend_count(task.port(1), 2);
    let captured = own(&task);
    assert_eq!(captured.snapshot.soft_errors, []);
    assert_usable(&captured);
    assert_eq!(task.suspensions(), 1);
    assert_eq!(task.thread_suspend_count(task.port(0)), Some(0));
    assert_eq!(task.thread_suspend_count(task.port(1)), Some(2), "as somebody else left it");
    assert_eq!(thread(&captured, IDLE_ID).apple.as_ref().unwrap().suspend_count, 2, "without ours");
}

#[test]
fn the_result_is_that_of_a_capture_from_outside() {
    let own_task = own_task();
    let captured_inside = own(&own_task);
    let other = task();
    let captured_outside = captured(&other);
    let mut inside = captured_inside.snapshot.clone();
    inside.captured_at_us = captured_outside.snapshot.captured_at_us;
    assert_eq!(inside, captured_outside.snapshot);
    assert_eq!(captured_inside.plan, captured_outside.plan);
    for range in captured_outside.plan.ranges() {
        let size = usize::try_from(range.size).unwrap();
        assert_eq!(memory(&captured_inside, range.start, size), memory(&captured_outside, range.start, size));
    }
}

#[test]
fn stacks_are_those_of_the_instant_of_the_registers() {
    let task = own_task();
    // The stack goes away when its thread goes on.
    task.inject(Call::ResumeThread, When::Nth(1), Effect::Unmap(IDLE_STACK.0, IDLE_STACK.0 + IDLE_STACK.1));
    let captured = own(&task);
    assert_usable(&captured);
    assert!(captured.is_complete());
}

#[test]
fn registers_of_the_calling_thread_are_those_of_its_crash() {
    let task = own_task();
    let mut cpu = main_cpu();
    cpu.sp += 0x40;
    cpu.pc = EXE + 0x2300;
    let words = SimThread::new(1).with_cpu(&arm(cpu.clone())).states[&6].clone();
    let crash = MachCrash {
        thread: CrashedThread::Port(task.port(0)),
        exception: Some(MachException { kind: 1, codes: [1, 0x10] }),
        states: vec![RawState { flavor: 6, words }],
    };
    let captured = capture(&task, &CaptureOptions::default(), Some(&crash)).unwrap();
    check(&captured);
    assert_eq!(captured.snapshot.soft_errors, []);
    let main = thread(&captured, MAIN_ID);
    assert_registers(main, &cpu);
    assert_eq!(main.apple.as_ref().unwrap().fault, None, "by now it is another one");
    assert_eq!(captured.plan.stack_of(main.id).unwrap().start, (cpu.sp - 128) & !63);
    assert_eq!(captured.snapshot.exception.as_ref().unwrap().thread, main.id);
}

#[test]
fn a_thread_that_cannot_be_suspended_is_captured_and_not_resumed() {
    let task = own_task();
    task.inject(Call::SuspendThread, When::Always, Effect::Fail(KernReturn::FAILURE));
    let captured = own(&task);
    assert_usable(&captured);
    assert_error(&captured, Stage::StopThread, "a thread could not be suspended: KERN_FAILURE");
    assert_eq!((task.calls(Call::ResumeThread), task.thread_suspend_count(task.port(1))), (0, Some(0)));
}

#[test]
fn a_thread_that_ends_while_it_is_suspended_is_left_out() {
    let task = own_task();
    task.inject(Call::SuspendThread, When::Nth(1), Effect::ThreadEnds(task.port(1)));
    let captured = own(&task);
    assert_eq!(captured.snapshot.threads.len(), 1);
    assert_registers(&captured.snapshot.threads[0], &main_cpu());
    assert_error(&captured, Stage::Registers, "a thread ended while it was captured");
}

#[test]
fn resuming_a_thread_is_tried_again() {
    let task = own_task();
    task.inject(Call::ResumeThread, When::Nth(1), Effect::Fail(KernReturn::FAILURE));
    let captured = own(&task);
    assert_eq!(captured.snapshot.soft_errors, []);
    assert_eq!(task.thread_suspend_count(task.port(1)), Some(0));
}

#[test]
fn a_thread_that_cannot_be_resumed_is_told() {
    let task = own_task();
    task.inject(Call::ResumeThread, When::Always, Effect::Fail(KernReturn::FAILURE));
    let captured = own(&task);
    assert_usable(&captured);
    assert_error(&captured, Stage::StopThread, "a thread could not be resumed: KERN_FAILURE");
}

#[test]
fn the_thread_that_handles_the_crash_is_neither_suspended_nor_listed() {
    let task = builder().thread(SimThread::new(9)).called_by_thread(0).build().unwrap();
    let options = CaptureOptions { handler_thread: Some(task.port(2)), ..CaptureOptions::default() };
    let captured = capture(&task, &options, None).unwrap();
    check(&captured);
    assert_usable(&captured);
    assert_eq!(task.suspensions(), 1);
}

#[test]
fn thousands_of_threads_are_suspended_and_resumed() {
    let builder = (1..=3000)
        .fold(without_threads(), |builder, id| builder.thread(SimThread::new(id).with_cpu(&arm(idle_cpu()))));
    let task = builder.called_by_thread(7).build().unwrap();
    let captured = own(&task);
    assert_eq!(captured.snapshot.soft_errors, []);
    assert_eq!((captured.snapshot.threads.len(), task.suspensions()), (3000, 2999));
    assert!((0..3000).all(|index| task.thread_suspend_count(task.port(index)) == Some(0)));
}

#[test]
fn without_a_list_of_threads_nobody_is_suspended() {
    let task = own_task();
    task.inject(Call::Threads, When::Always, Effect::Fail(KernReturn::FAILURE));
    let captured = own(&task);
    assert_eq!((task.suspensions(), captured.snapshot.threads.len()), (0, 0));
    assert_error(&captured, Stage::StopThread, "the threads cannot be listed");
    assert_modules(&captured);
}

#[test]
fn whichever_call_fails_all_threads_go_on() {
    let calls =
        [Call::Read, Call::Region, Call::Threads, Call::ThreadState, Call::ThreadInfo, Call::ResumeThread];
    for call in calls {
        let count = {
            let task = own_task();
            own(&task);
            task.calls(call)
        };
        for nth in 1..=count {
            for effect in [Effect::Fail(KernReturn::FAILURE), Effect::Short(1)] {
                let task = own_task();
                task.inject(call, When::Nth(nth), effect);
                let captured = own(&task);
                assert_eq!(task.thread_suspend_count(task.port(1)), Some(0), "{call:?} {nth} {effect:?}");
                assert!(!captured.snapshot.modules.is_empty());
            }
        }
    }
}

#[test]
fn the_memory_of_the_whole_process_is_read_as_it_runs() {
    let task = own_task();
    let memory = MemoryPolicy { mode: MemoryMode::Full, ..MemoryPolicy::default() };
    let options = CaptureOptions { memory, ..CaptureOptions::default() };
    let captured = capture(&task, &options, None).unwrap();
    check(&captured);
    assert_eq!(task.thread_suspend_count(task.port(1)), Some(0), "it could not allocate otherwise");
    assert!(only_error(&captured).message.starts_with("the process ran on while its memory was read"));
    task.poke(idle_cpu().fp, &[0xff; 16]);
    assert_stack(&captured, idle_cpu().fp, 0x80, &IDLE_CALLERS);
    assert!(crate::fixture::memory(&captured, EXE + 0x4000, 64).is_some());
}

#[test]
fn a_core_of_the_own_process_has_code_at_return_addresses() {
    let task = own_task();
    let options = CaptureOptions { plan: PlanKind::Core, ..CaptureOptions::default() };
    let captured = capture(&task, &options, None).unwrap();
    for address in MAIN_CALLERS.into_iter().chain(IDLE_CALLERS) {
        assert_eq!(memory(&captured, address - 4, 8), task.peek(address - 4, 8));
    }
    assert_eq!(memory(&captured, IDLE_PC, 1), None);
}
