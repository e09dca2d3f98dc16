//! `run`: programs that crash, and those that do not.

use crate::images::Functions;
use crate::machine;
use end_to_end::crash_matrix::dump_files;
use end_to_end::process;
use end_to_end::target::{number, parked, pattern};
use end_to_end::{Dump, needs};
use minidump::{MinidumpException, MinidumpSystemInfo, Module as _};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// What came of running a command.
struct Outcome {
    /// What the crasher said.
    facts: Option<Value>,
    /// The whole exit code.
    code: u64,
    dumps: Vec<Dump>,
    complaint: String,
}

/// `crash KIND THREAD`, below the supervisor or alone.
#[track_caller]
fn crash(kind: &str, thread: &str, supervised: bool) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let mut command = machine::command("windows-crasher.exe");
    command.arg("status");
    if supervised {
        command.arg(machine::there("minidump-writer.exe")).args(["run", "--quiet", "--dir", "dumps", "--"]);
    }
    command.arg(machine::there("windows-crasher.exe")).args(["crash", kind, thread]);
    let finished = process::run(command.current_dir(folder.path())).expect_success("status");
    let text = String::from_utf8_lossy(&finished.stdout).into_owned();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let code = number(&lines.pop().unwrap_or_else(|| panic!("no line: {}", finished.stderr)), "code");
    let dumps = dump_files(&folder.path().join("dumps"));
    let dumps = dumps.iter().map(|path| Dump::of(fs::read(path).unwrap())).collect();
    Outcome { facts: lines.pop(), code, dumps, complaint: finished.stderr }
}

/// The supervisor makes one dump of the crash, in which all is as the crasher told.
#[track_caller]
fn assert_dumped(kind: &str) {
    for thread in ["main", "thread"] {
        let alone = crash(kind, thread, false);
        let found = crash(kind, thread, true);
        assert_eq!(
            found.code, alone.code,
            "{kind} on {thread}: the exit code is passed on; {}",
            found.complaint
        );
        assert_eq!(found.dumps.len(), 1, "{kind} on {thread}: dumps; {}", found.complaint);
        assert_contents(kind, thread, &found.dumps[0], &found.facts.expect("the crasher told facts"));
    }
}

#[track_caller]
fn assert_contents(kind: &str, name: &str, dump: &Dump, facts: &Value) {
    let parsed = dump.parse();
    let exception: MinidumpException = parsed.get_stream().expect("there is an exception");
    let system: MinidumpSystemInfo = parsed.get_stream().unwrap();
    let record = &exception.raw.exception_record;
    let tid = u32::try_from(number(facts, "tid")).unwrap();
    assert_eq!(exception.thread_id, tid, "{kind} on {name}: the thread");
    assert_eq!(u64::from(record.exception_code), number(facts, "code"), "{kind} on {name}: the code");
    let told = facts["parameters"].as_array().map(|list| list.iter().map(|value| value.as_u64().unwrap()));
    if let Some(told) = told {
        let found = &record.exception_information[..record.number_parameters as usize];
        assert_eq!(found, told.collect::<Vec<u64>>(), "{kind} on {name}: the parameters");
    }
    let context = exception.context(&system, None).expect("the exception has registers");
    if let Some(address) = facts["address"].as_u64() {
        assert_eq!(record.exception_address, address, "{kind} on {name}: the address");
    }
    assert_eq!(dump.thread_ids()[0], tid, "the thread that crashed comes first");
    let top = context.get_stack_pointer();
    if kind == "stack-overflow" {
        let (address, bytes) = pattern(&facts["tail"]);
        assert_eq!(dump.memory(address, bytes.len()), Some(bytes), "the tail of the stack");
    } else {
        assert!(dump.memory(top, 16).is_some(), "no memory at SP {top:#x}");
    }
    dump.assert_parked(&parked(facts));
    assert_unwound(kind, dump, tid);
}

/// The stack of the thread that crashed leads into the function that crashed.
#[track_caller]
fn assert_unwound(kind: &str, dump: &Dump, tid: u32) {
    let Some(program) = needs::stackwalk("the stack of a crash") else { return };
    let report = end_to_end::readers::stackwalk(&program, dump);
    assert_eq!(report["crash_info"]["crashing_thread"], 0);
    assert_eq!(report["crashing_thread"]["thread_id"], tid);
    let functions = Functions::of_crasher();
    let frames = report["crashing_thread"]["frames"].as_array().unwrap();
    let found: Vec<&str> = frames
        .iter()
        .filter(|frame| frame["module"] == "windows-crasher.exe")
        .map(|frame| {
            let digits = frame["module_offset"].as_str().unwrap().trim_start_matches("0x");
            functions.at(u64::from_str_radix(digits, 16).unwrap())
        })
        .collect();
    let wanted = match kind {
        "stack-overflow" => "recurse".to_owned(),
        kind => format!("crash_here_{}", kind.replace('-', "_")),
    };
    assert!(found.iter().any(|found| found.contains(&wanted)), "{wanted}: {found:?} of {frames:?}");
}

macro_rules! crashes {
    ($($name:ident: $kind:literal;)*) => {
        $(
            #[test]
            fn $name() {
                assert_dumped($kind);
            }
        )*
    };
}

crashes! {
    a_read_from_nowhere: "read";
    a_read_from_null: "null";
    a_write_to_nowhere: "write";
    a_jump_to_nowhere: "execute";
    a_division_by_zero: "divide";
    an_illegal_instruction: "illegal";
    a_privileged_instruction: "privileged";
    a_breakpoint_without_debugger: "breakpoint";
    a_fast_fail: "fast-fail";
    an_abort: "abort";
    a_raised_exception: "raise";
    an_exception_of_cpp: "cpp";
    a_corrupt_heap: "heap-corruption";
    as_many_parameters_as_there_can_be: "many-parameters";
    what_a_handler_does_not_know: "handled-then-null";
}

/// Wine has no stack left for the handler with which Rust's library tells of the overflow: it ends the thread, or hangs, alone as
/// below a debugger. Where `WINDOWS_RUNNER` is no Wine, this is a crash as all others.
#[test]
fn a_stack_overflow() {
    let runner = std::env::var("WINDOWS_RUNNER").unwrap_or_default();
    if !runner.is_empty() {
        return needs::not_here("a_stack_overflow", "Wine does not deliver it");
    }
    assert_dumped("stack-overflow");
}

#[test]
fn exceptions_that_the_program_handles_are_no_crashes() {
    for thread in ["main", "thread"] {
        let found = crash("handled", thread, true);
        assert_eq!((found.code, found.dumps.len()), (0, 0), "{}", found.complaint);
    }
}

#[test]
fn show_tells_of_the_crash_and_its_place() {
    let found = crash("read", "thread", true);
    let dump = &found.dumps[0];
    for mut program in [Command::new(end_to_end::programs::dumper()), machine::dumper()] {
        let folder = dump.path.parent().unwrap();
        let name = dump.path.file_name().unwrap();
        let shown = process::run(program.current_dir(folder).arg("show").arg("--json").arg(name));
        let shown: Value = serde_json::from_slice(&shown.expect_success("show").stdout).unwrap();
        assert_eq!(shown["crash"]["crashed"], true);
        let parameters = &found.facts.as_ref().unwrap()["parameters"];
        assert_eq!(shown["crash"]["address"], format!("{:#x}", parameters[1].as_u64().unwrap()));
        assert_eq!(shown["crash"]["thread"], found.facts.as_ref().unwrap()["tid"]);
    }
    let parsed = dump.parse();
    let modules: minidump::MinidumpModuleList = parsed.get_stream().unwrap();
    assert!(modules.main_module().unwrap().code_file().ends_with("windows-crasher.exe"));
}
