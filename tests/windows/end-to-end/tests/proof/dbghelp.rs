//! The documented API, by which the system's own dumper writes: what Wine's writes of the same eight threads.

use crate::images::linked_guid;
use crate::machine;
use end_to_end::readers::{lldb_threads, stackwalk};
use end_to_end::target::number;
use end_to_end::{Dump, Target, needs, process};
use std::collections::BTreeSet;
use std::fs;

/// A dump by dbghelp.
#[track_caller]
fn dump(target: &Target) -> Dump {
    let folder = tempfile::tempdir().unwrap();
    let mut dumper = machine::command("windows-dumper.exe");
    dumper.current_dir(folder.path()).args(["dump", "dbghelp", &machine::pid(target), "x.dmp"]);
    process::run(&mut dumper).expect_success("dbghelp");
    Dump::of(fs::read(folder.path().join("x.dmp")).unwrap())
}

#[test]
fn eight_threads_are_there_with_registers_and_stacks() {
    let mut target = machine::start(&["wait"]);
    let dump = dump(&target);
    let ids: BTreeSet<u32> = dump.thread_ids().into_iter().collect();
    let facts = &target.facts["registers"];
    let spinning = u32::try_from(number(facts, "tid")).unwrap();
    let threads = target.parked();
    let known = threads.iter().map(|thread| thread.tid).chain([spinning, target.tid("main")]);
    assert_eq!(ids, known.collect(), "exactly the threads of the process");
    let (instruction, top) = dump.instruction_and_stack_pointer(spinning).unwrap();
    assert!((number(facts, "loop_start")..number(facts, "loop_end")).contains(&instruction));
    let name = if machine::is_wide() { "rsp" } else { "esp" };
    assert_eq!(top, number(&facts["general"], name));
    for thread in &threads {
        for (function, address, bytes) in &thread.frames {
            let found = dump.memory(*address, bytes.len());
            assert_eq!(found.as_ref(), Some(bytes), "the frame of {function} of {}", thread.name);
        }
    }
    assert_eq!(target.ask("ping")["pong"], true);
}

#[test]
fn the_program_has_the_id_that_it_was_linked_with() {
    let target = machine::start(&["wait"]);
    let modules = dump(&target).modules();
    let program = modules.iter().find(|module| module.path.ends_with("windows-crasher.exe"));
    let program = program.unwrap_or_else(|| panic!("the program is no module: {modules:?}"));
    // Wine tells ids of modules that Microsoft's tools made alone.
    assert!(program.id.is_empty() || program.id == linked_guid(&machine::crasher_here()), "{:?}", program.id);
}

#[test]
fn readers_show_all_threads() {
    let Some(program) = needs::stackwalk("readers_show_all_threads") else { return };
    let Some(lldb) = needs::lldb("readers_show_all_threads") else { return };
    let target = machine::start(&["wait"]);
    let dump = dump(&target);
    let report = stackwalk(&program, &dump);
    assert_eq!(report["status"], "OK");
    assert_eq!(report["threads"].as_array().unwrap().len(), 9);
    let threads = lldb_threads(&lldb, &machine::crasher_here(), &dump);
    assert_eq!(threads.len(), 9);
    let facts = &target.facts["registers"];
    let spinning = threads.iter().find(|thread| u64::from(thread.tid) == number(facts, "tid")).unwrap();
    for (name, value) in facts["general"].as_object().unwrap() {
        assert_eq!(spinning.registers.get(name), value.as_u64().as_ref(), "{name}");
    }
}
