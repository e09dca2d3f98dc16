//! Programs with a client that go on.

use crate::built::{Linked, Program, WAYS};
use crate::kept;
use end_to_end::process::{self, Guarded};
use end_to_end::programs;
use std::path::Path;
use std::process::Stdio;

/// What the program told of something.
#[track_caller]
fn told<'a>(stdout: &'a str, what: &str) -> Vec<&'a str> {
    stdout.lines().filter_map(|line| line.strip_prefix(what)?.strip_prefix(' ')).collect()
}

#[test]
fn a_client_can_be_stopped_and_another_one_started_and_both_dump_without_a_crash() {
    for linked in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let dumps = folder.path().join("dumps");
        let program = Program::new("client.c", linked);
        let mut command = program.command();
        let finished = process::run(command.arg("two-lives").arg(&dumps).arg(programs::dumper()));
        let stdout = String::from_utf8(finished.expect_success("two-lives").stdout).unwrap();
        assert_eq!(told(&stdout, "threads"), ["3"], "threads run before, between and after clients");
        let handler: i32 = told(&stdout, "handler")[0].parse().unwrap();
        assert!(handler > 0);
        let paths = told(&stdout, "dump");
        let [first, second] = [0, 1].map(|index| kept::one(Path::new(paths[index])));
        for (dump, reason) in [(&first, "the first"), (&second, "the second")] {
            assert_eq!(dump.metadata["reason"], format!("asked for: {reason}"));
            assert_eq!(dump.metadata["annotations"]["from"], "a signal handler", "the second client's, too");
        }
        assert_eq!(kept::all(&dumps).len(), 3);
        assert_eq!(first.metadata["signal"], serde_json::Value::Null);
    }
}

#[test]
fn several_threads_annotate_and_dump_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let dumps = folder.path().join("dumps");
    let program = Program::new("client.c", Linked::Shared);
    let finished = process::run(program.command().arg("at-once").arg(&dumps).arg(programs::dumper()));
    let stdout = String::from_utf8(finished.expect_success("at-once").stdout).unwrap();
    let last = kept::one(Path::new(told(&stdout, "dump")[0]));
    for thread in ["a", "b", "c", "d"] {
        assert_eq!(last.metadata["annotations"][thread], "all");
    }
    let kept = kept::all(&dumps);
    let mut reasons: Vec<_> = kept.iter().filter_map(|kept| kept.metadata["reason"].as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["a", "b", "c", "d", "the last"].map(|reason| format!("asked for: {reason}")));
}

#[test]
fn a_thread_that_gives_no_sign_of_life_is_dumped_and_the_program_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let dumps = folder.path().join("dumps");
    let program = Program::new("client.c", Linked::Shared);
    let mut command = program.command();
    command.arg("hang").arg(&dumps).arg(programs::dumper()).stdin(Stdio::piped());
    let mut running = Guarded::start(&mut command);
    process::wait_until("a dump of the thread that hangs", || {
        let entries = std::fs::read_dir(dumps.join("pending")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|end| end == "dmp"))
    });
    drop(running.child().stdin.take());
    assert!(running.wait("hang").success());
    let kept = kept::only(&dumps);
    assert_eq!(kept.metadata["pid"], running.pid());
    assert_eq!(kept.metadata["tid"], running.pid(), "the main thread");
    let reason = kept.metadata["reason"].as_str().unwrap();
    assert!(reason.contains("no sign of life"), "{reason}");
}
