//! Memory in the dump equals the target's memory, and is the memory that is promised.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::target::number;
use end_to_end::{Dump, Target, dump, dump_with, proc_files, programs};
use std::process::Command;

/// Bytes below the stack pointer that belong to a function: System V ABI for AMD64 §3.2.2.
const RED_ZONE: u64 = 128;

#[test]
fn the_frames_of_every_thread_hold_what_the_target_wrote() {
    let target = Target::start(["threads", "16"]);
    dump(target.pid()).assert_parked(&target.parked());
}

#[test]
fn every_byte_of_every_stack_equals_the_target() {
    let mut command = Command::new(programs::crasher());
    // Restartable sequences have the kernel write the processor's number next to the stack whenever a thread has run.
    command.args(["threads", "4"]).env("GLIBC_TUNABLES", "glibc.pthread.rseq=0");
    let target = Target::start_command(&mut command);
    let dump = dump(target.pid());
    for thread in target.parked() {
        let (start, size) = dump.stack_range(thread.tid);
        assert_equal(&target, &dump, start, size);
    }
}

#[test]
fn a_stack_reaches_from_the_red_zone_to_the_end_of_its_mapping() {
    let target = Target::start(["threads", "4"]);
    let dump = dump(target.pid());
    let maps = proc_files::maps(target.pid());
    for thread in target.parked() {
        let sp = dump.context(thread.tid).unwrap().rsp;
        let (start, size) = dump.stack_range(thread.tid);
        let mapping = maps.iter().find(|mapping| (mapping.start..mapping.end).contains(&sp)).unwrap();
        assert!(start <= sp - RED_ZONE, "the red zone of {} is there", thread.name);
        assert!(sp - start < 8192, "no more than the page of the red zone is kept below SP");
        assert_eq!(start + size, mapping.end, "{} of {} is short enough to be whole", start, thread.name);
    }
}

#[test]
fn there_is_code_around_every_instruction_pointer() {
    let target = Target::start(["threads", "3"]);
    let dump = dump(target.pid());
    for tid in dump.thread_ids() {
        let ip = dump.context(tid).unwrap().rip;
        assert_equal(&target, &dump, ip - 128, 256);
    }
}

#[test]
fn the_dynamic_loaders_list_is_there_for_debuggers() {
    let target = Target::start(["threads", "1"]);
    let dump = dump(target.pid());
    let debug = dump.stream(0x4767_000a).unwrap();
    let count = end_to_end::extended::word32(&debug, 8);
    assert!(count >= 3, "the program, the C library and the loader: {count}");
    // The address of the program's dynamic section; DT_DEBUG (21) in it points to r_debug, whose second word is the
    // first entry of the list, whose fourth word is the next.
    let mut entry = end_to_end::extended::word64(&debug, 32);
    let read = |address| u64::from_le_bytes(dump.memory(address, 8).unwrap().try_into().unwrap());
    while read(entry) != 21 {
        assert_ne!(read(entry), 0, "the dynamic section has a DT_DEBUG");
        entry += 16;
    }
    let mut map = read(read(entry + 8) + 8);
    let mut seen = 0;
    while map != 0 {
        let name = dump.memory(read(map + 8), 1);
        assert!(name.is_some(), "the name of entry {seen} is in the dump");
        seen += 1;
        map = read(map + 24);
    }
    assert_eq!(seen, count);
}

#[test]
fn the_blamed_thread_keeps_more_stack_than_others() {
    let target = Target::start(["deep-recursion"]);
    let thread = &target.parked()[0];
    let capped = dump(target.pid());
    let (_, ordinary) = capped.stack_range(thread.tid);
    let blamed = dump_with(target.pid(), ["--tid", &thread.tid.to_string()]);
    let (_, generous) = blamed.stack_range(thread.tid);
    assert!(ordinary <= 256 * 1024 && generous > 512 * 1024, "{ordinary} and {generous} bytes");
    assert!(generous <= 1024 * 1024);
    blamed.assert_parked(std::slice::from_ref(thread));
}

#[test]
fn a_deep_stack_is_capped_and_keeps_its_innermost_frames() {
    let target = Target::start(["deep-recursion"]);
    let dump = dump(target.pid());
    dump.assert_parked(&target.parked());
    let (outermost, _) = end_to_end::target::pattern(&target.facts["first"]);
    let (start, size) = dump.stack_range(target.parked()[0].tid);
    assert!(outermost - start > 2 << 20, "the stack in use is much longer than the cap");
    assert!(size <= 256 * 1024, "{size} bytes are kept");
}

#[test]
fn the_memory_list_matches_what_the_report_says() {
    let target = Target::start(["threads", "2"]);
    let dump = dump(target.pid());
    assert_eq!(number(&dump.report, "threads"), dump.thread_ids().len() as u64);
    assert_eq!(number(&dump.report, "modules"), dump.modules().len() as u64);
    assert_eq!(dump.report["soft_errors"].as_array().unwrap(), &dump.soft_errors());
    assert!(dump.memory_total() < dump.bytes.len() as u64);
}

/// Fails unless the dump has these bytes of the target's memory and they are the same.
#[track_caller]
fn assert_equal(target: &Target, dump: &Dump, start: u64, size: u64) {
    let length = usize::try_from(size).unwrap();
    let found = dump
        .memory(start, length)
        .unwrap_or_else(|| panic!("{size} bytes at {start:#x} are not in the dump"));
    let expected = proc_files::memory(target.pid(), start, length);
    let differs = found.iter().zip(&expected).position(|(one, other)| one != other);
    assert_eq!(differs, None, "offset of the first difference in {size} bytes at {start:#x}");
}
