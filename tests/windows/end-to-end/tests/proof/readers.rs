//! The same dump through readers that we did not write.

use crate::images::Functions;
use crate::machine;
use end_to_end::needs;
use end_to_end::readers::{lldb_run, lldb_threads, stackwalk};
use end_to_end::target::number;
use serde_json::Value;

/// The functions of the known call chain, innermost first.
const CHAIN: [&str; 3] = ["inner_wait", "middle", "outer"];

#[test]
fn stackwalk_shows_eight_named_threads_in_the_right_functions() {
    let Some(program) = needs::stackwalk("stackwalk_shows_eight_named_threads") else { return };
    let target = machine::start(&["wait"]);
    let report = stackwalk(&program, &machine::dump(&target));
    assert_eq!(report["status"], "OK");
    assert_eq!(report["pid"], target.number("pid"));
    assert_eq!(report["system_info"]["os"], "Windows NT");
    let threads = report["threads"].as_array().unwrap();
    assert_eq!(threads.len(), 9);
    let functions = Functions::of_crasher();
    for parked in target.parked() {
        let thread = threads.iter().find(|thread| thread["thread_id"] == parked.tid).unwrap();
        assert_eq!(thread["thread_name"], parked.name);
        let found: Vec<&str> = frames(thread).map(|offset| functions.at(offset)).collect();
        for function in CHAIN {
            assert!(found.iter().any(|found| is_function(found, function)), "{function}: {found:?}");
        }
    }
}

/// Offsets of the frames that are in the crasher.
fn frames(thread: &Value) -> impl Iterator<Item = u64> {
    let frames = thread["frames"].as_array().unwrap().iter();
    frames.filter(|frame| frame["module"] == "windows-crasher.exe").map(|frame| {
        let offset = frame["module_offset"].as_str().unwrap().trim_start_matches("0x");
        u64::from_str_radix(offset, 16).unwrap()
    })
}

/// Whether `found` is the path of `function`, perhaps with a hash behind it.
fn is_function(found: &str, function: &str) -> bool {
    found.split("::").any(|part| part == function)
}

#[test]
fn lldb_shows_the_same_threads_registers_and_frames() {
    let Some(lldb) = needs::lldb("lldb_shows_the_same_threads_registers_and_frames") else { return };
    let target = machine::start(&["wait"]);
    let dump = machine::dump(&target);
    let threads = lldb_threads(&lldb, &machine::crasher_here(), &dump);
    let mut shown: Vec<u32> = threads.iter().map(|thread| thread.tid).collect();
    let mut dumped = dump.thread_ids();
    shown.sort_unstable();
    dumped.sort_unstable();
    assert_eq!(shown, dumped);
    let facts = &target.facts["registers"];
    let spinning = threads.iter().find(|thread| u64::from(thread.tid) == number(facts, "tid")).unwrap();
    for (name, value) in facts["general"].as_object().unwrap() {
        assert_eq!(spinning.registers.get(name), value.as_u64().as_ref(), "{name}");
    }
    assert!(spinning.frames[0].contains("load_all"), "{:?}", spinning.frames);
    // LLDB leaves the system's libraries only with their files, which it does not find. What it reads of stacks are known words.
    for parked in target.parked() {
        let thread = threads.iter().find(|thread| thread.tid == parked.tid).unwrap();
        assert!(thread.frames[0].contains("ntdll.dll"), "{:?}", thread.frames);
        let reads = parked.frames.iter();
        let reads = reads.map(|(_, address, _)| format!("memory read -f x -s 8 -c 1 {address:#x}"));
        let shown = lldb_run(&lldb, &machine::crasher_here(), &dump, &reads.collect::<Vec<_>>());
        for (function, _, bytes) in &parked.frames {
            let word = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert!(shown.contains(&format!("{word:#018x}")), "{function} of {}: {shown}", parked.name);
        }
    }
}
