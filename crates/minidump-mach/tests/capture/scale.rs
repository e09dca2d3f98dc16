//! Large tasks: what they cost in calls, which is what time is made of.

use crate::fixture::*;
use minidump_mach::sim::{Call, SimArch, SimRegion, SimTask, SimThread, SyntheticImage};
use minidump_mach::{CaptureOptions, PlanKind};
use minidump_snapshot::cpu::Arm64State;

fn core() -> CaptureOptions {
    CaptureOptions { plan: PlanKind::Core, ..CaptureOptions::default() }
}

/// Size of the code of the library that all threads run.
const TEXT: u64 = 0x20_0000;

/// Return addresses of a thread, spread over the library.
fn callers(thread: u64, frames: u64) -> Vec<u64> {
    let word = |frame: u64| (thread * 7919 + frame * 4013) % (TEXT / 4 - 0x1000);
    (0..frames).map(|frame| 0x1_2000_2000 + word(frame) * 4).collect()
}

/// `count` threads with `frames` frames each of 32 bytes.
fn deep(count: u64, frames: u64) -> SimTask {
    let lib = SyntheticImage::library("/big.dylib").uuid([3; 16]).text(0, TEXT);
    let mut builder = SimTask::builder(SimArch::Arm64).image(&exe(), EXE).image(&lib, 0x1_2000_0000);
    for index in 0..count {
        let stack = 0x20_0000_0000 + index * 0x10_0000;
        let sp = stack + 0x8_0000 - frames * 32 - 64;
        let callers = callers(index, frames);
        let cpu = Arm64State { pc: EXE + 0x2010, sp, fp: sp + 16, lr: callers[0], ..Arm64State::default() };
        builder = builder
            .stack(stack, 0x8_0000)
            .frames(sp + 16, 32, &callers)
            .thread(SimThread::new(0x1000 + index).with_cpu(&arm(cpu)));
    }
    builder.build().unwrap()
}

#[test]
fn forty_threads_of_300_frames_are_a_small_core_of_few_calls() {
    let task = deep(40, 300);
    let captured = captured_with(&task, &core(), None);
    assert_eq!(captured.snapshot.soft_errors, []);
    assert!(captured.is_complete());
    for thread in 0..40 {
        // Of the blamed thread all; the link register and 255 records of the others.
        for caller in callers(thread, if thread == 0 { 300 } else { 255 }) {
            assert_eq!(memory(&captured, caller - 4, 8), task.peek(caller - 4, 8));
        }
    }
    let total = captured.plan.total();
    assert!(total < 40 * (300 * 32 + 512) + 12_000 * 8, "{total}");
    // Stacks, and pages of code; not one for every return address.
    assert!(task.calls(Call::Read) < 300, "{}", task.calls(Call::Read));
}

#[test]
fn two_thousand_images_take_one_read_each() {
    let mut builder = SimTask::builder(SimArch::Arm64).image(&exe(), EXE);
    for index in 0..2000_u64 {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&index.to_le_bytes());
        uuid[15] = 1;
        let image = SyntheticImage::library(&format!("/usr/lib/lib{index}.dylib")).uuid(uuid);
        builder = builder.image(&image, 0x2_8000_0000 + index * 0x10_0000);
    }
    let task = builder.thread(main_thread()).build().unwrap();
    let captured = captured(&task);
    assert_eq!(captured.snapshot.modules.len(), 2002);
    let last = module(&captured, 0x2_8000_0000 + 1999 * 0x10_0000);
    assert_eq!(last.path, b"/usr/lib/lib1999.dylib");
    let mut uuid = [0; 16];
    uuid[..8].copy_from_slice(&1999_u64.to_le_bytes());
    uuid[15] = 1;
    assert_eq!(last.id.as_ref().unwrap().as_bytes(), uuid);
    assert!(task.calls(Call::Read) < 2002 + 100, "{}", task.calls(Call::Read));
    assert!(task.calls_while_stopped(Call::Read) < 10, "{}", task.calls_while_stopped(Call::Read));
    assert!(task.calls(Call::Region) < 2100);
}

#[test]
fn ten_thousand_threads_are_captured() {
    let mut builder = SimTask::builder(SimArch::Arm64).image(&exe(), EXE).stack(MAIN_STACK.0, MAIN_STACK.1);
    for id in 1..=10_000 {
        builder = builder.thread(SimThread::new(id).with_cpu(&arm(main_cpu())));
    }
    let task = builder.build().unwrap();
    let captured = captured(&task);
    assert_eq!(captured.snapshot.threads.len(), 10_000);
    assert_eq!(captured.snapshot.threads[9999].id, 10_000);
    assert!(task.calls(Call::Threads) <= 3);
    assert_eq!(task.calls(Call::ThreadState), 30_000);
    assert!(task.calls(Call::Read) < 100, "threads with the same stack are one range");
}

#[test]
fn a_thousand_threads_that_wait_at_the_same_place_are_looked_at_once() {
    let builder = (1..=1000)
        .fold(without_threads(), |builder, id| builder.thread(SimThread::new(id).with_cpu(&arm(idle_cpu()))));
    let task = builder.build().unwrap();
    let captured = captured_with(&task, &core(), None);
    assert!(memory(&captured, IDLE_PC, 1).is_none() && memory(&captured, IDLE_LR - 4, 8).is_some());
    assert!(task.calls(Call::Read) < 60, "{}", task.calls(Call::Read));
}

#[test]
fn four_thousand_images_at_the_same_place_are_one() {
    let mut builder = builder();
    for _ in 0..4096 {
        builder = builder.list(LIB_PATH, LIB);
    }
    let task = builder.build().unwrap();
    let captured = captured(&task);
    assert_usable(&captured);
    assert_eq!(only_error(&captured).message, "dyld's list names 4096 images twice");
}

#[test]
fn fifty_thousand_regions_are_listed_by_as_many_calls() {
    let mut builder = builder();
    for index in 0..50_000_u64 {
        builder = builder.region(0x30_0000_0000 + index * 0x8000, 0x4000, SimRegion::data(1));
    }
    let task = builder.build().unwrap();
    let captured = captured(&task);
    assert_usable(&captured);
    assert!(captured.snapshot.regions.len() > 50_000);
    assert!(task.calls(Call::Region) < 50_100);
}
