//! The same dump through readers that we did not write: rust-minidump's `minidump-stackwalk` and LLDB.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::elf::{Symbols, is_function};
use end_to_end::readers::{lldb_threads, stackwalk};
use end_to_end::target::{Parked, number};
use end_to_end::{Target, dump, needs, programs};
use serde_json::Value;

/// The functions of the known call chain, innermost first.
const CHAIN: [&str; 3] = ["inner_wait", "middle", "outer"];

#[test]
fn stackwalk_unwinds_sixteen_named_threads_to_the_right_functions() {
    let Some(program) = needs::stackwalk("stackwalk_unwinds_sixteen_named_threads_to_the_right_functions")
    else {
        return;
    };
    let target = Target::start(["threads", "16"]);
    let report = stackwalk(&program, &dump(target.pid()));
    assert_eq!(report["status"], "OK");
    assert_eq!(report["pid"], target.pid());
    let threads = report["threads"].as_array().unwrap();
    assert_eq!(threads.len(), 17, "the main thread and sixteen workers");
    let symbols = Symbols::read(programs::crasher());
    for parked in target.parked() {
        let thread = by_id(threads, "thread_id", parked.tid);
        assert_eq!(thread["thread_name"], parked.name);
        let frames = thread["frames"].as_array().unwrap();
        assert!(frames.len() > 3, "the stack of {} is unwound past frame 0", parked.name);
        for (frame, function) in frames.iter().zip(CHAIN) {
            assert_eq!(frame["module"], "crasher");
            let offset = hexadecimal(&frame["module_offset"]);
            let found = symbols.at(offset).unwrap_or("nothing");
            assert!(is_function(found, function), "{function} of {}, not {found}", parked.name);
        }
    }
}

#[test]
fn stackwalk_sees_no_crash_and_every_module() {
    let Some(program) = needs::stackwalk("stackwalk_sees_no_crash_and_every_module") else { return };
    let target = Target::start(["threads", "1"]);
    let dump = dump(target.pid());
    let report = stackwalk(&program, &dump);
    assert_eq!(report["crash_info"]["type"], "DUMP_REQUESTED");
    let listed: Vec<&str> = report["modules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|module| module["filename"].as_str().unwrap())
        .collect();
    assert_eq!(listed.len(), dump.modules().len());
    for name in ["crasher", "libc.so.6", "ld-linux-x86-64.so.2"] {
        assert!(listed.contains(&name), "{name} is listed in {listed:?}");
    }
    let main = report["main_module"].as_u64().expect("there is a main module");
    assert_eq!(listed[usize::try_from(main).unwrap()], "crasher");
}

#[test]
fn lldb_shows_the_same_threads_registers_and_frames() {
    let Some(lldb) = needs::lldb("lldb_shows_the_same_threads_registers_and_frames") else { return };
    let target = Target::start(["threads", "16"]);
    let dump = dump(target.pid());
    let threads = lldb_threads(&lldb, programs::crasher(), &dump);
    let mut shown: Vec<u32> = threads.iter().map(|thread| thread.tid).collect();
    let mut dumped = dump.thread_ids();
    shown.sort_unstable();
    dumped.sort_unstable();
    assert_eq!(shown, dumped);
    for thread in &threads {
        let context = dump.context(thread.tid).expect("every thread has registers");
        let expected =
            [("rip", context.rip), ("rsp", context.rsp), ("rbp", context.rbp), ("rbx", context.rbx)];
        for (name, value) in expected {
            assert_eq!(thread.registers.get(name), Some(&value), "{name} of thread {}", thread.tid);
        }
    }
    for Parked { tid, name, .. } in target.parked() {
        let thread = threads.iter().find(|thread| thread.tid == tid).unwrap();
        assert!(thread.frames.len() >= CHAIN.len(), "{name}: {:?}", thread.frames);
        for (frame, function) in thread.frames.iter().zip(CHAIN) {
            assert!(
                frame.contains(&format!("crasher::chain::{function}::")),
                "{function} of {name}: {frame}"
            );
        }
        let bottom = thread.frames.last().unwrap();
        assert!(bottom.contains("clone"), "{name} is unwound to where it was born: {bottom}");
    }
}

#[test]
fn lldb_shows_the_known_register_values() {
    let Some(lldb) = needs::lldb("lldb_shows_the_known_register_values") else { return };
    let target = Target::start(["registers"]);
    let dump = dump(target.pid());
    let threads = lldb_threads(&lldb, programs::crasher(), &dump);
    let spinning = threads.iter().find(|thread| thread.tid == target.tid("tid")).unwrap();
    // LLDB 19 shows no vector registers of a minidump.
    for (name, value) in target.facts["general"].as_object().unwrap() {
        assert_eq!(spinning.registers.get(name), value.as_u64().as_ref(), "{name}");
    }
}

/// The entry of a list of objects whose `key` is `id`.
#[track_caller]
fn by_id<'a>(list: &'a [Value], key: &str, id: u32) -> &'a Value {
    let found = list.iter().find(|entry| number(entry, key) == u64::from(id));
    found.unwrap_or_else(|| panic!("{key} {id} is missing"))
}

#[track_caller]
fn hexadecimal(value: &Value) -> u64 {
    let digits = value.as_str().unwrap().trim_start_matches("0x");
    u64::from_str_radix(digits, 16).unwrap()
}
