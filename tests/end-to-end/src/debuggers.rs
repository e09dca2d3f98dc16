//! Frames and values as GDB and LLDB show them, of a core or of the live process.

use crate::process;
use crate::programs;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Frames by thread id, innermost first.
pub type Frames = BTreeMap<u32, Vec<String>>;

/// What a debugger is to look at.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A core file.
    Core(&'a Path),
    /// A live process, which is let go afterwards.
    Process(i32),
}

/// GDB.
pub fn gdb(test: &str) -> Option<PathBuf> {
    let found = programs::reader("GDB", &["gdb"]);
    if found.is_none() {
        crate::needs::missing(test, "there is no gdb");
    }
    found
}

/// GDB's script that makes a core of a live process.
pub fn gcore(test: &str) -> Option<PathBuf> {
    let found = programs::reader("GCORE", &["gcore"]);
    if found.is_none() {
        crate::needs::missing(test, "there is no gcore");
    }
    found
}

/// What GDB answers to `commands`.
#[track_caller]
pub fn gdb_run(gdb: &Path, subject: Subject<'_>, commands: &[&str]) -> String {
    let mut command = Command::new(gdb);
    // Neither start-up files nor symbol servers may change what is printed.
    command.args(["-nx", "-q", "-batch", "-iex", "set auto-load no"]).env("DEBUGINFOD_URLS", "");
    for setting in ["set width 0", "set pagination off", "set print repeats 0", "set print elements 0"] {
        command.args(["-ex", setting]);
    }
    for line in commands {
        command.args(["-ex", line]);
    }
    command.arg(programs::crasher());
    match subject {
        Subject::Core(path) => command.arg(path),
        Subject::Process(pid) => command.arg("-p").arg(pid.to_string()),
    };
    let finished = process::run(&mut command).expect_success("gdb");
    String::from_utf8_lossy(&finished.stdout).into_owned() + &finished.stderr
}

/// The stacks of all threads in GDB, one line a frame, without arguments.
#[track_caller]
pub fn gdb_frames(gdb: &Path, subject: Subject<'_>) -> Frames {
    let output = gdb_run(gdb, subject, &["set print frame-arguments none", "thread apply all backtrace"]);
    let mut frames = Frames::new();
    let mut thread = None;
    for line in output.lines() {
        if line.starts_with("Thread ") {
            let id = line.split_once("LWP ").and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
            thread = id.map(|id| frames.entry(id).or_default());
        } else if let (Some(frames), true) = (&mut thread, line.starts_with('#')) {
            frames.push(line.to_owned());
        }
    }
    assert!(!frames.is_empty(), "GDB shows threads: {output}");
    frames
}

/// The stacks of all threads in LLDB: address, module and function of each frame.
#[track_caller]
pub fn lldb_frames(lldb: &Path, subject: Subject<'_>) -> Frames {
    let mut command = Command::new(lldb);
    command.args(["--batch", "--no-lldbinit", "--no-use-colors"]).env("DEBUGINFOD_URLS", "");
    match subject {
        Subject::Core(path) => command.arg("--core").arg(path).arg(programs::crasher()),
        Subject::Process(pid) => command.arg("-p").arg(pid.to_string()),
    };
    command.args(["-o", "thread list", "-o", "thread backtrace all"]);
    if let Subject::Process(_) = subject {
        command.args(["-o", "detach"]);
    }
    let finished = process::run(&mut command).expect_success("lldb");
    let output = String::from_utf8_lossy(&finished.stdout);
    let (list, stacks) = output.split_once("(lldb) thread backtrace all").unwrap();
    let ids: BTreeMap<&str, u32> = list.lines().filter_map(listed).collect();
    let mut frames = Frames::new();
    let mut thread = None;
    for line in stacks.lines().map(|line| line.trim_start_matches([' ', '*'])) {
        if let Some(rest) = line.strip_prefix("thread #") {
            let id = ids[rest.split(',').next().unwrap()];
            thread = Some(frames.entry(id).or_default());
        } else if let (Some(frames), true) = (&mut thread, line.starts_with("frame #")) {
            frames.push(line.split('(').next().unwrap().to_owned());
        }
    }
    assert!(!frames.is_empty(), "LLDB shows threads: {output}");
    frames
}

/// Number and id of a thread in LLDB's list.
fn listed(line: &str) -> Option<(&str, u32)> {
    let (number, rest) = line.split_once("thread #")?.1.split_once(": tid = ")?;
    let id = rest.split([',', ' ']).next()?;
    Some((number, id.parse().ok()?))
}
