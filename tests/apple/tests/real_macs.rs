//! A dump that Breakpad wrote on a Mac, with the program and its debug information (`tests/apple/real`): what is in it stays in
//! a core and in a minidump that we make of it.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use apple_tests::lldb::{self, Module, Question};
use apple_tests::strict::Core;
use apple_tests::{Arch, stackwalk, tools};
use minidump_writer::convert::{Input, convert};
use minidump_writer::{DumpOptions, Format};
use serde_json::Value;
use std::fs::File;
use std::path::Path;

/// macOS 10.12.6 on x86-64; a null pointer with an offset, in a function that was inlined.
const DUMP: &str = "mini.dmp";
const PROGRAM: &str = "crash";
const DEBUG_INFORMATION: &str = "crash.dSYM/Contents/Resources/DWARF/crash";

fn converted(input: &Path, format: Format, output: &Path) {
    let mut file = File::create(output).unwrap();
    let report = convert(Input::File(input), Some(format), &DumpOptions::default(), &mut file).unwrap();
    assert_eq!((report.threads, report.modules), (1, 43));
}

/// What the reader says of the crash, and of the modules.
fn essence(report: &Value) -> [Value; 3] {
    let modules = report["modules"].as_array().unwrap().iter();
    let mut modules: Vec<Value> = modules
        .map(|module| [&module["base_addr"], &module["debug_id"], &module["filename"]])
        .map(|known| known.into_iter().cloned().collect())
        .collect();
    modules.sort_by_key(ToString::to_string);
    let mut crash = report["crash_info"].clone();
    // Of instructions and addresses it says more where it has more memory.
    crash
        .as_object_mut()
        .unwrap()
        .retain(|key, _| ["type", "address", "crashing_thread"].contains(&key.as_str()));
    let version = report.pointer("/system_info/os_ver").cloned().unwrap_or_default();
    [crash, version, Value::from(modules)]
}

#[test]
fn a_crash_on_a_mac_stays_what_it_was_in_a_core_and_in_a_minidump() {
    let test = "a_crash_on_a_mac_stays_what_it_was_in_a_core_and_in_a_minidump";
    let Some(tools) = tools::find(test) else { return };
    let given = tools.fetched.join("real/symbolic-testutils-5.7.8/fixtures/macos");
    let folder = tempfile::tempdir().unwrap();
    let (core, again) = (folder.path().join("core"), folder.path().join("minidump"));
    converted(&given.join(DUMP), Format::MachOCore, &core);
    Core::parse(&std::fs::read(&core).unwrap()).unwrap();

    let executable = Module { binary: given.join(PROGRAM), debug: Some(given.join(DEBUG_INFORMATION)) };
    let question = Question { executable: Some(executable), ..Question::bare(&core, Arch::X86_64) };
    let answer = lldb::ask_one(tools, question);
    let [thread] = answer.threads.as_slice() else { panic!("one thread: {:?}", answer.threads) };
    let shown = |frame: &lldb::Frame| {
        let function = frame.function.as_deref().unwrap_or("?");
        frame.line.as_ref().map_or(function.to_owned(), |line| format!("{function} {line}"))
    };
    let frames: Vec<String> = thread.frames.iter().map(shown).collect();
    assert_eq!(
        frames,
        [
            "main [inlined] (anonymous namespace)::crash() main.cpp:21",
            "main [inlined] (anonymous namespace)::start() main.cpp:25",
            "main main.cpp:32",
            "?",
        ]
    );
    let pcs: Vec<u64> = thread.frames.iter().map(|frame| frame.pc).collect();
    assert_eq!(pcs, [0x1_09ba_8c15, 0x1_09ba_8c15, 0x1_09ba_8c15, 0x7fff_e7ee_b235]);

    let original = stackwalk::report(tools, &given.join(DUMP), None);
    assert_eq!(original["crash_info"]["type"], "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS");
    assert_eq!(original["crash_info"]["address"], "0x0000000000000045");
    converted(&core, Format::Minidump, &again);
    assert_eq!(essence(&stackwalk::report(tools, &again, None)), essence(&original));
}
