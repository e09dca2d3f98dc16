//! What can go wrong with threads.

use crate::fixture::*;
use minidump_mach::sim::{Call, Effect, SimThread, When};
use minidump_mach::{CaptureOptions, CrashedThread, KernReturn, MachCrash, MachException, RawState};
use minidump_snapshot::{CpuState, Stage};

#[test]
fn a_thread_that_ends_before_its_state_is_read_is_left_out() {
    let task = task();
    task.inject(Call::ThreadState, When::Nth(1), Effect::ThreadEnds(task.port(1)));
    let captured = captured(&task);
    assert_eq!(captured.snapshot.threads.len(), 1);
    assert_registers(thread(&captured, MAIN_ID), &main_cpu());
    assert_stack(&captured, main_cpu().fp, 0x40, &MAIN_CALLERS);
    let error = only_error(&captured);
    assert_eq!((error.stage, error.os_error), (Stage::Registers, Some(4)));
    assert_modules(&captured);
}

#[test]
fn a_thread_that_ends_between_two_of_its_flavors_keeps_what_was_read() {
    let task = task();
    // The calls for the first thread are three; the second thread ends before its second one.
    task.inject(Call::ThreadState, When::Nth(5), Effect::ThreadEnds(task.port(1)));
    let captured = captured(&task);
    let idle = thread(&captured, IDLE_ID);
    assert_registers(idle, &idle_cpu());
    assert_eq!(idle.name, None);
    assert_eq!(idle.apple.as_ref().unwrap().fault, None);
    assert_error(&captured, Stage::Registers, "registers of a thread are missing");
    assert_error(&captured, Stage::ThreadFacts, "the name of a thread is unknown");
}

#[test]
fn a_thread_that_ends_before_anything_of_it_is_read_is_left_out() {
    let task = task();
    task.inject(Call::ThreadInfo, When::Nth(1), Effect::ThreadEnds(task.port(0)));
    let captured = captured(&task);
    assert_eq!(captured.snapshot.threads.len(), 1);
    assert_eq!(captured.snapshot.blamed_thread, Some(0x1002));
    assert_eq!(only_error(&captured).thread, None, "not even its id is known");
}

#[test]
fn all_threads_may_end() {
    let task = task();
    for index in 0..2 {
        task.inject(Call::ThreadState, When::Nth(1), Effect::ThreadEnds(task.port(index)));
    }
    let captured = captured(&task);
    assert!(captured.snapshot.threads.is_empty());
    assert_eq!(captured.snapshot.blamed_thread, None);
    assert_modules(&captured);
}

#[test]
fn the_crashed_thread_is_kept_after_its_end_with_the_registers_of_the_message() {
    let task = task();
    task.inject(Call::ThreadInfo, When::Nth(1), Effect::ThreadEnds(task.port(1)));
    let words = idle_thread().states[&6].clone();
    let crash = MachCrash {
        thread: CrashedThread::Id(IDLE_ID),
        exception: Some(MachException { kind: 1, codes: [1, 0x10] }),
        states: vec![RawState { flavor: 6, words }],
    };
    let captured = captured_with(&task, &CaptureOptions::default(), Some(&crash));
    assert_eq!(captured.snapshot.threads[0].id, 0x1002);
    assert_registers(&captured.snapshot.threads[0], &idle_cpu());
    assert_stack(&captured, idle_cpu().fp, 0x80, &IDLE_CALLERS);
    assert_error(&captured, Stage::Target, "the crashed thread has ended");
    assert_eq!(captured.snapshot.exception.as_ref().unwrap().address, 0x10);
}

#[test]
fn a_thread_without_registers_stays_in_the_list() {
    let task = task();
    task.inject(Call::ThreadState, When::Thread(task.port(0)), Effect::Fail(KernReturn::FAILURE));
    let captured = captured(&task);
    let main = thread(&captured, MAIN_ID);
    assert_eq!((main.cpu.as_ref(), main.name.as_deref()), (None, Some(&b"main"[..])));
    assert_eq!((only_error(&captured).thread, only_error(&captured).os_error), (Some(0x1001), Some(5)));
    assert_stack(&captured, idle_cpu().fp, 0x80, &IDLE_CALLERS);
}

#[test]
fn short_general_registers_are_no_registers() {
    let task = task();
    task.inject(Call::ThreadState, When::Flavor(6), Effect::Short(65));
    let captured = captured(&task);
    assert!(captured.snapshot.threads.iter().all(|thread| thread.cpu.is_none()));
    assert_error(&captured, Stage::Registers, "registers of a thread are missing");
}

#[test]
fn padding_that_is_missing_does_no_harm() {
    let task = task();
    task.inject(Call::ThreadState, When::Flavor(6), Effect::Short(67));
    assert_threads(&captured(&task));
}

#[test]
fn missing_vector_registers_cost_nothing_else() {
    let task = task();
    task.inject(Call::ThreadState, When::Flavor(17), Effect::Fail(KernReturn::INVALID_ARGUMENT));
    let captured = captured(&task);
    assert_usable(&captured);
    let Some(CpuState::Arm64(state)) = &thread(&captured, MAIN_ID).cpu else { panic!() };
    assert_eq!(state.vector, None);
    assert_error(&captured, Stage::Registers, "registers of a thread are missing");
}

#[test]
fn a_missing_exception_state_costs_nothing_else() {
    let task = task();
    task.inject(Call::ThreadState, When::Flavor(7), Effect::Short(3));
    let captured = captured(&task);
    assert_usable(&captured);
    assert_eq!(thread(&captured, MAIN_ID).apple.as_ref().unwrap().fault, None);
}

#[test]
fn a_thread_without_id_is_told_apart_all_the_same() {
    let task = task();
    task.inject(Call::ThreadInfo, When::Flavor(4), Effect::Fail(KernReturn::FAILURE));
    let captured = captured(&task);
    let ids: Vec<u32> = captured.snapshot.threads.iter().map(|thread| thread.id).collect();
    assert_eq!(ids, [u32::MAX - 1, u32::MAX - 2]);
    assert!(captured.snapshot.threads.iter().all(|thread| thread.apple.as_ref().unwrap().id == 0));
    assert_error(&captured, Stage::ThreadFacts, "the id of a thread is unknown");
    assert_registers(&captured.snapshot.threads[0], &main_cpu());
    assert_modules(&captured);
}

#[test]
fn a_thread_without_name_or_state_keeps_the_rest() {
    for (flavor, words) in [(5, "the name of a thread"), (3, "the state of a thread")] {
        let task = task();
        task.inject(Call::ThreadInfo, When::Flavor(flavor), Effect::Fail(KernReturn::FAILURE));
        let captured = captured(&task);
        assert_eq!(captured.snapshot.soft_errors.len(), 2);
        assert_error(&captured, Stage::ThreadFacts, words);
        assert_registers(thread(&captured, MAIN_ID), &main_cpu());
        assert_stack(&captured, main_cpu().fp, 0x40, &MAIN_CALLERS);
    }
}

#[test]
fn a_name_of_64_bytes_has_no_end() {
    let name = "x".repeat(64);
    let task = without_threads().thread(main_thread().named(&name)).build().unwrap();
    assert_eq!(captured(&task).snapshot.threads[0].name.as_deref(), Some(name.as_bytes()));
}

#[test]
fn without_a_list_of_threads_the_rest_is_captured() {
    let task = task();
    task.inject(Call::Threads, When::Always, Effect::Fail(KernReturn::FAILURE));
    let captured = captured(&task);
    assert!(captured.snapshot.threads.is_empty());
    assert_modules(&captured);
    assert_eq!((only_error(&captured).stage, only_error(&captured).os_error), (Stage::ThreadFacts, Some(5)));
}

#[test]
fn a_list_that_is_cut_off_gives_what_it_has() {
    let task = task();
    task.inject(Call::Threads, When::Always, Effect::Short(1));
    let captured = captured(&task);
    assert_eq!(captured.snapshot.threads.len(), 1);
    assert_registers(thread(&captured, MAIN_ID), &main_cpu());
}

#[test]
fn a_dispatch_queue_that_cannot_be_read_has_no_label() {
    for queue in [1, 0x10, u64::MAX - 3, EXE + 0x3fff] {
        let task = without_threads().thread(main_thread()).build().unwrap();
        task.change_thread(task.port(0), |thread| thread.queue_address = queue);
        let captured = captured(&task);
        assert_eq!(captured.snapshot.threads[0].apple.as_ref().unwrap().dispatch_queue, None);
        assert_eq!(captured.snapshot.soft_errors, []);
    }
}

#[test]
fn a_label_that_is_no_text_is_none() {
    let task = builder().build().unwrap();
    // The queue of the second thread: pointer, object, label.
    let queue =
        task.peek(task_queue(&task), 8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).unwrap();
    let label = u64::from_le_bytes(task.peek(queue + 72, 8).unwrap().try_into().unwrap());
    task.poke(label, &[0xff, 0xfe, 0x01]);
    assert_eq!(thread(&captured(&task), IDLE_ID).apple.as_ref().unwrap().dispatch_queue, None);
}

fn task_queue(task: &minidump_mach::sim::SimTask) -> u64 {
    let mut queue = 0;
    task.change_thread(task.port(1), |thread| queue = thread.queue_address);
    queue
}

#[test]
fn two_threads_whose_ids_share_the_lower_half_are_both_kept() {
    let other = SimThread::new(MAIN_ID + (1 << 32)).with_cpu(&arm(idle_cpu()));
    let task = without_threads().thread(main_thread()).thread(other).build().unwrap();
    let captured = captured(&task);
    assert_eq!(captured.snapshot.threads.len(), 2);
    assert_registers(thread(&captured, MAIN_ID + (1 << 32)), &idle_cpu());
}
