//! `minidump-writer run`: what a command and whoever started it notice of the supervisor, which is nothing.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::process::{DEADLINE, Finished, Guarded, run, run_with_input};
use end_to_end::programs;
use minidump::{Minidump, MinidumpException, MinidumpThreadList};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// `minidump-writer run -d DIRECTORY -- COMMAND…`.
fn supervised(directory: &Path, command: &[&str]) -> Command {
    let mut supervisor = Command::new(programs::dumper());
    supervisor.arg("run").arg("-d").arg(directory).arg("--").args(command);
    supervisor
}

fn supervise(command: &[&str]) -> (Finished, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let finished = run(&mut supervised(directory.path(), command));
    (finished, directory)
}

/// All dumps below `directory`.
fn dumps(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(dumps(&path));
        } else if path.extension().is_some_and(|extension| extension == "dmp") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    for code in [0, 1, 3, 255] {
        let (finished, directory) = supervise(&["sh", "-c", &format!("exit {code}")]);
        assert_eq!(finished.status.code(), Some(code));
        assert_eq!(finished.stderr, "", "nothing to tell");
        assert_eq!(dumps(directory.path()), Vec::<PathBuf>::new());
    }
    for (signal, count) in [("TERM", 0), ("KILL", 0), ("PIPE", 0), ("ABRT", 1)] {
        let (finished, directory) = supervise(&["sh", "-c", &format!("kill -{signal} $$")]);
        let number = match signal {
            "TERM" => libc::SIGTERM,
            "KILL" => libc::SIGKILL,
            "PIPE" => libc::SIGPIPE,
            _ => libc::SIGABRT,
        };
        assert_eq!(finished.status.code(), Some(128 + number), "{signal}: {}", finished.stderr);
        assert_eq!(dumps(directory.path()).len(), count, "{signal}");
    }
}

#[test]
fn a_command_that_cannot_be_started_gets_the_code_of_a_shell_and_one_sentence() {
    for (command, code, part) in
        [("/no/such/program", 127, "check its name and PATH"), ("/etc/passwd", 126, "that this user may run")]
    {
        let (finished, _directory) = supervise(&[command]);
        assert_eq!(finished.status.code(), Some(code));
        assert!(
            finished.stderr.starts_with(&format!("error: cannot start {command}: ")),
            "{}",
            finished.stderr
        );
        assert!(finished.stderr.trim_end().ends_with(part), "{}", finished.stderr);
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    }
}

#[test]
fn the_streams_are_those_of_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"what comes in").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let command = ["sh", "-c", "cat; echo told >&2; yes | head -2"];
    let finished = run_with_input(&mut supervised(directory.path(), &command), file);
    assert_eq!(String::from_utf8(finished.stdout).unwrap(), "what comes iny\ny\n");
    assert_eq!(finished.stderr, "told\n");
    assert!(finished.status.success());
}

#[test]
fn a_signal_to_the_supervisor_reaches_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap 'echo got it; exit 9' USR1; echo ready; while :; do sleep 0.01; done";
    let mut command = supervised(directory.path(), &["sh", "-c", script]);
    let mut supervisor = Guarded::start(command.stdout(Stdio::piped()).process_group(0));
    let mut lines = BufReader::new(supervisor.child().stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    // SAFETY: a signal to a child that has not been reaped.
    assert_eq!(unsafe { libc::kill(supervisor.pid(), libc::SIGUSR1) }, 0);
    assert_eq!(lines.next().unwrap().unwrap(), "got it");
    assert_eq!(supervisor.wait("the supervisor").code(), Some(9));
}

#[test]
fn the_supervisor_stops_and_goes_on_with_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let script = "echo $$; kill -TSTP $$; echo again; exit 4";
    let mut command = supervised(directory.path(), &["sh", "-c", script]);
    // A group of its own whose parent is in another one: the kernel stops no group that nobody could let go on.
    let mut supervisor = Guarded::start(command.stdout(Stdio::piped()).process_group(0));
    let mut lines = BufReader::new(supervisor.child().stdout.take().unwrap()).lines();
    let shell: i32 = lines.next().unwrap().unwrap().parse().unwrap();
    let mut status = 0;
    let deadline = Instant::now() + DEADLINE;
    loop {
        // SAFETY: `status` is live; a child of this process.
        let told =
            unsafe { libc::waitpid(supervisor.pid(), &raw mut status, libc::WUNTRACED | libc::WNOHANG) };
        if told != 0 {
            break;
        }
        assert!(Instant::now() < deadline, "the supervisor does not stop");
        std::thread::yield_now();
    }
    assert!(libc::WIFSTOPPED(status), "{status:#x}");
    // SAFETY: as a shell does, to the whole group.
    assert_eq!(unsafe { libc::kill(-supervisor.pid(), libc::SIGCONT) }, 0);
    assert_eq!(lines.next().unwrap().unwrap(), "again");
    assert_eq!(supervisor.wait("the supervisor").code(), Some(4));
    assert!(!Path::new(&format!("/proc/{shell}")).exists());
}

#[test]
fn every_crashing_descendant_has_a_dump_and_the_parent_sees_the_signal() {
    let script = "for i in 1 2 3 4 5; do sh -c 'kill -SEGV $$' & done; wait; sh -c 'kill -QUIT $$'; echo $?";
    let (finished, directory) = supervise(&["sh", "-c", script]);
    assert!(finished.status.success());
    assert!(String::from_utf8(finished.stdout).unwrap().trim().ends_with("131"));
    let dumps = dumps(directory.path());
    assert_eq!(dumps.len(), 6);
    let mut codes: Vec<u32> = Vec::new();
    for path in &dumps {
        let dump = Minidump::read_path(path).unwrap();
        let exception = dump.get_stream::<MinidumpException>().unwrap();
        codes.push(exception.raw.exception_record.exception_code);
        let threads = dump.get_stream::<MinidumpThreadList>().unwrap();
        assert_eq!(threads.threads.len(), 1);
        assert_eq!(threads.threads[0].raw.thread_id, exception.thread_id);
        assert!(finished.stderr.contains(path.to_str().unwrap()), "{}", finished.stderr);
    }
    codes.sort_unstable();
    assert_eq!(codes, [3, 11, 11, 11, 11, 11]);
}

/// The functions of the blamed thread, innermost first, as `show` tells them.
fn functions(dump: &Path) -> Vec<String> {
    let shown = run(Command::new(programs::dumper()).args(["show", "--json"]).arg(dump));
    assert!(shown.status.success(), "{}", shown.stderr);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let threads = shown.get("threads").and_then(Value::as_array).unwrap();
    let blamed = threads.iter().find(|thread| thread["blamed"] == true).unwrap();
    let frames = blamed["frames"].as_array().unwrap().iter();
    frames.map(|frame| frame["function"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_a_handler_on_another_stack_interrupted_is_shown_wherever_that_stack_lies() {
    for place in ["above", "below"] {
        let kind = format!("signal-stack-{place}");
        let (finished, directory) = supervise(&[programs::crasher().to_str().unwrap(), "crash", &kind]);
        assert_eq!(finished.status.code(), Some(128 + libc::SIGABRT), "{}", finished.stderr);
        let functions = functions(&dumps(directory.path())[0]);
        let at = |name: &str| functions.iter().position(|function| function.contains(name));
        let [Some(handler), Some(end), Some(crash), Some(start)] = [
            at("handlers::abort"),
            at("<signal handler called>"),
            at("crash_here_on_own_stack"),
            at("with_signal_stack"),
        ] else {
            panic!("{kind}: {functions:#?}");
        };
        assert!(handler < end && end < crash && crash < start, "{kind}: {functions:#?}");
    }
}

#[test]
fn nothing_is_said_with_quiet() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(programs::dumper());
    command.args(["run", "--quiet", "-d"]).arg(directory.path()).args(["--", "sh", "-c", "kill -SEGV $$"]);
    let finished = run(&mut command);
    assert_eq!(finished.status.code(), Some(139));
    assert_eq!(finished.stderr, "");
    assert_eq!(dumps(directory.path()).len(), 1);
}

#[test]
fn a_killed_supervisor_leaves_the_command_running() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = supervised(directory.path(), &["sh", "-c", "echo ready; read line; echo got $line"]);
    let mut supervisor =
        Guarded::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0));
    let mut output = BufReader::new(supervisor.child().stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let mut input = supervisor.child().stdin.take().unwrap();
    supervisor.child().kill().unwrap();
    supervisor.wait("the killed supervisor");
    input.write_all(b"it\n").unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "got it\n");
}
