//! Programs that die.

use crate::built::{Linked, Program, WAYS};
use crate::kept::{self, Kept};
use end_to_end::process::{self, Finished};
use end_to_end::programs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use tempfile::TempDir;

const SIGILL: i32 = 4;
const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

/// Runs `client.c` in `mode`.
fn client(linked: Linked, mode: &str, handler: bool) -> (TempDir, Program, Finished) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new("client.c", linked);
    let mut command = program.command();
    command.arg(mode).arg(folder.path().join("dumps"));
    command.arg(if handler { programs::dumper().as_os_str() } else { "-".as_ref() });
    let finished = process::run(&mut command);
    (folder, program, finished)
}

/// Functions of the thread that crashed, innermost first.
#[track_caller]
fn functions(kept: &Kept) -> Vec<String> {
    let mut command = Command::new(programs::dumper());
    let shown = process::run(command.arg("show").arg("--json").arg(&kept.dump.path)).expect_success("show");
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let (crashed, _) = kept.crashed();
    let thread = shown["threads"].as_array().unwrap().iter().find(|thread| thread["id"] == crashed).unwrap();
    let frames = thread["frames"].as_array().unwrap();
    frames.iter().filter_map(|frame| frame["function"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_stack_overflow_in_a_thread_is_dumped_by_the_handler_with_all_that_was_asked_for() {
    for linked in WAYS {
        let (folder, _program, finished) = client(linked, "all-options", true);
        assert_eq!(finished.status.signal(), Some(SIGSEGV), "{linked:?}: {}", finished.stderr);
        let kept = kept::only(&folder.path().join("dumps"));
        assert_eq!(kept.metadata["source"], "handler");
        assert_eq!(kept.metadata["signal"], SIGSEGV);
        let expected = serde_json::json!({"version": "7.1", "channel": "beta", "late": "ä"});
        assert_eq!(kept.metadata["annotations"], expected);
        let has = |text: &[u8]| kept.dump.bytes.windows(text.len()).any(|window| window == text);
        assert!(has(b"the last line\n") && has(b"dumps.journal"), "the attachment");

        let (thread, registers) = kept.crashed();
        assert_eq!(kept.metadata["tid"], thread);
        assert_ne!(kept.metadata["tid"], kept.metadata["pid"], "another than the main thread");
        let stdout = String::from_utf8(finished.stdout).unwrap();
        let top = stdout.trim().strip_prefix("stack 0x").unwrap();
        let top = u64::from_str_radix(top, 16).unwrap();
        assert!(registers.rsp < top && top - registers.rsp > 1 << 20, "the stack has overflowed");
        assert!(kept.dump.memory(top, 1).is_some(), "the tail of the stack");
        let functions = functions(&kept);
        let innermost = functions.iter().take_while(|function| *function == "grow").count();
        assert!(innermost > 20, "the head of the stack: {functions:?}");
    }
}

#[test]
fn an_exception_that_nobody_catches_is_dumped() {
    for linked in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let dumps = folder.path().join("dumps");
        let program = Program::new("client.cpp", linked);
        let finished = process::run(program.command().arg(&dumps).arg(programs::dumper()));
        assert_eq!(finished.status.signal(), Some(SIGABRT), "{linked:?}: {}", finished.stderr);
        let kept = kept::only(&dumps);
        assert_eq!(kept.metadata["source"], "handler");
        assert_eq!(kept.metadata["annotations"]["language"], "C++");
        let functions = functions(&kept);
        assert!(
            functions.iter().any(|function| function.contains("main")),
            "the thread's function: {functions:?}"
        );
    }
}

#[test]
fn without_a_handler_the_program_dumps_itself() {
    let (folder, _program, finished) = client(Linked::Shared, "abort", false);
    assert_eq!(finished.status.signal(), Some(SIGABRT), "{}", finished.stderr);
    let kept = kept::only(&folder.path().join("dumps"));
    assert_eq!(kept.metadata["source"], "client");
    let (_, registers) = kept.crashed();
    assert!(kept.dump.memory(registers.rsp, 16).is_some());
    assert!(functions(&kept).contains(&"abort_now".to_owned()));
}

#[test]
fn a_function_of_c_that_deals_with_a_signal_prevents_its_dump() {
    let (folder, _program, finished) = client(Linked::Static, "first-chance", true);
    assert_eq!(String::from_utf8_lossy(&finished.stdout), "looked 1\n", "{}", finished.stderr);
    assert_eq!(finished.status.signal(), Some(SIGILL));
    assert_eq!(kept::only(&folder.path().join("dumps")).metadata["signal"], SIGILL);
}
