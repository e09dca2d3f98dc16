//! What is in a dump of eight threads.

use crate::images::linked_guid;
use crate::machine;
use end_to_end::target::{number, parked};
use minidump::{MinidumpMiscInfo, MinidumpSystemInfo, Module as _};
use std::collections::BTreeSet;

#[test]
fn eight_threads_are_there_with_names_registers_and_stacks() {
    let mut target = machine::start(&["wait"]);
    let dump = machine::dump(&target);
    let threads = target.parked();
    assert_eq!(threads.len(), 7);
    dump.assert_parked(&threads);
    let ids: BTreeSet<u32> = dump.thread_ids().into_iter().collect();
    let spinning = u32::try_from(number(&target.facts["registers"], "tid")).unwrap();
    let known = threads.iter().map(|thread| thread.tid).chain([spinning, target.tid("main")]);
    assert_eq!(ids, known.collect(), "exactly the threads of the process");
    assert_eq!(dump.thread_name(spinning).as_deref(), Some("registers"));
    assert_eq!(target.ask("ping")["pong"], true);
}

#[test]
fn the_program_has_the_id_that_it_was_linked_with() {
    let target = machine::start(&["wait"]);
    let dump = machine::dump(&target);
    let modules = dump.modules();
    let program = modules.iter().find(|module| module.path.ends_with("windows-crasher.exe"));
    let program = program.unwrap_or_else(|| panic!("the program is no module: {modules:?}"));
    assert_eq!(program.id, linked_guid(&machine::crasher_here()));
    for name in ["ntdll.dll", "kernel32.dll", "kernelbase.dll"] {
        assert!(modules.iter().any(|module| module.path.to_lowercase().ends_with(name)), "{name}");
    }
}

#[test]
fn the_first_module_is_the_program() {
    let target = machine::start(&["wait"]);
    let dump = machine::dump(&target);
    let parsed = dump.parse();
    let modules: minidump::MinidumpModuleList = parsed.get_stream().unwrap();
    assert!(modules.main_module().unwrap().code_file().ends_with("windows-crasher.exe"));
}

#[test]
fn the_system_and_the_process_are_told() {
    let target = machine::start(&["wait"]);
    let dump = machine::dump(&target);
    let parsed = dump.parse();
    let system: MinidumpSystemInfo = parsed.get_stream().unwrap();
    assert_eq!(system.os, minidump::system_info::Os::Windows);
    let cpu =
        if machine::is_wide() { minidump::system_info::Cpu::X86_64 } else { minidump::system_info::Cpu::X86 };
    assert_eq!(system.cpu, cpu);
    assert!(system.raw.major_version >= 6, "{}", system.raw.major_version);
    let misc: MinidumpMiscInfo = parsed.get_stream().unwrap();
    assert_eq!(misc.raw.process_id().copied().map(u64::from), Some(target.number("pid")));
}

#[test]
fn the_thread_that_is_named_comes_first() {
    let target = machine::start(&["wait"]);
    let chosen = parked(&target.facts)[3].tid;
    let dump = machine::dump_with(&target, ["--tid", &chosen.to_string()]);
    assert_eq!(dump.thread_ids()[0], chosen);
}

#[test]
fn each_thread_has_the_address_of_its_block() {
    let target = machine::start(&["wait"]);
    let dump = machine::dump(&target);
    let parsed = dump.parse();
    let list: minidump::MinidumpThreadList = parsed.get_stream().unwrap();
    let facts = &target.facts["registers"];
    let spinning = list.get_thread(u32::try_from(number(facts, "tid")).unwrap()).unwrap();
    assert_eq!(spinning.raw.teb, number(facts, "teb"));
    let blocks: BTreeSet<u64> = list.threads.iter().map(|thread| thread.raw.teb).collect();
    assert_eq!(blocks.len(), list.threads.len(), "each has one of its own");
}
