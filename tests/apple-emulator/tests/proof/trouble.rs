//! When there is no dump, and when it is hard to write.

use crate::expected;
use crate::places::ARCHS;
use crate::run::{DESCRIPTOR, Program, Request, TASK, assert_equal, assert_released, system};
use crate::tasks::task;
use apple_emulator::{Arch, System};

/// MDW_ERROR_*.
const ARGUMENT: u64 = 1;
const NO_PROCESS: u64 = 8;
const PERMISSION: u64 = 9;
const OUTPUT: u64 = 12;

fn message(program: &Program, system: &mut System<'_>) -> String {
    let address = program.machine.call("mdw_last_error_message", &[], system).unwrap();
    program.machine.text(address).unwrap()
}

#[test]
fn the_documented_function_writes_a_core() {
    for arch in ARCHS {
        let task = task(arch);
        let mut system = system(&task, TASK);
        let program = Program::new(arch);
        let code =
            program.machine.call("MiniDumpWriteDump", &[TASK.into(), DESCRIPTOR.into(), 0], &mut system);
        assert_eq!(code.unwrap() & 0xffff_ffff, 0);
        let (_, expected) = expected::file(&crate::tasks::task(arch), &Request::CORE);
        assert_equal(&system.written[&DESCRIPTOR], &expected, "MiniDumpWriteDump");
    }
}

#[test]
fn descriptors_that_take_little_at_a_time_get_all_of_it() {
    let task = task(Arch::Arm64);
    let mut system = system(&task, TASK);
    system.most_per_write = 1000;
    assert_eq!(Program::new(Arch::Arm64).dump(TASK, &Request::CORE, &mut system), 0);
    let (_, expected) = expected::file(&crate::tasks::task(Arch::Arm64), &Request::CORE);
    assert_equal(&system.written[&DESCRIPTOR], &expected, "short writes");
    assert!(system.counts["_write"] + system.counts["_writev"] >= expected.len() as u64 / 1000);
}

#[test]
fn without_a_place_to_write_to_the_task_goes_on_and_nothing_is_kept() {
    for arch in ARCHS {
        let task = task(arch);
        let mut system = system(&task, TASK);
        system.written.clear();
        let program = Program::new(arch);
        assert_eq!(program.dump(TASK, &Request::CORE, &mut system), OUTPUT);
        assert!(message(&program, &mut system).starts_with("the dump could not be written: "));
        assert_released(&system, "output");
        assert_eq!((task.suspend_count(), task.suspensions()), (0, 1));
    }
}

#[test]
fn one_dump_after_another_leaves_no_more_behind() {
    let task = task(Arch::Arm64);
    let mut system = system(&task, TASK);
    let program = Program::new(Arch::Arm64);
    let mut dump = || {
        assert_eq!(program.dump(TASK, &Request::MINIDUMP, &mut system), 0);
        system.blocks()
    };
    let first = dump();
    // The structure of the request, which the test leaves there.
    assert_eq!(dump(), first + 1);
}

#[test]
fn a_port_of_nothing_is_an_error() {
    let task = task(Arch::Arm64);
    let mut system = system(&task, TASK);
    let program = Program::new(Arch::Arm64);
    assert_eq!(program.dump(0, &Request::CORE, &mut system), ARGUMENT);
    assert_eq!(program.dump(TASK + 1, &Request::CORE, &mut system), NO_PROCESS);
    assert!(system.written[&DESCRIPTOR].is_empty());
    assert_released(&system, "no task");
}

/// `mdw_dump_process`, which asks for the port. Returns the code.
fn dump_process(program: &Program, pid: i32, system: &mut System<'_>) -> u64 {
    let path = program.machine.place(b"/cores/stuck.dmp\0", system).unwrap();
    let pid = u64::from(pid.cast_unsigned());
    program.machine.call("mdw_dump_process", &[pid, path], system).unwrap_or_else(|error| panic!("{error}"))
        & 0xffff_ffff
}

#[test]
fn a_process_is_dumped_by_its_id_and_its_port_is_given_back() {
    for arch in ARCHS {
        let task = task(arch);
        let mut system = system(&task, TASK);
        assert_eq!(dump_process(&Program::new(arch), 4242, &mut system), 0);
        let (_, expected) = expected::file(&crate::tasks::task(arch), &Request::MINIDUMP);
        let descriptor = system.files["/cores/stuck.dmp"];
        assert_equal(&system.written[&descriptor], &expected, "by id");
        assert_released(&system, "by id");
    }
}

#[test]
fn a_refused_port_is_told_in_a_sentence_with_the_way_out() {
    let task = task(Arch::Arm64);
    let mut system = system(&task, TASK);
    system.refuses = true;
    let program = Program::new(Arch::Arm64);
    assert_eq!(dump_process(&program, 4242, &mut system), PERMISSION);
    assert_eq!(
        message(&program, &mut system),
        "no permission to trace process 4242: the system refused its task port (KERN_FAILURE); run as root, or sign this \
         program with the entitlement com.apple.security.cs.debugger, and sign the other one with \
         com.apple.security.get-task-allow; programs that System Integrity Protection guards hand out their port to no one"
    );
    assert!(system.files.is_empty(), "nothing is left of the dump");
    assert_eq!(dump_process(&program, 4243, &mut system), NO_PROCESS);
    assert_eq!(message(&program, &mut system), "there is no process 4243");
}
