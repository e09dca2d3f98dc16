//! Counting system calls. strace slows a program down many times, so nothing is measured in that run.

use super::results::Calls;
use crate::{setup, shell};
use std::{
    collections::HashSet,
    io::{self, BufRead},
    path::{Path, PathBuf},
    process::Command,
};

/// The program, installed if need be. `None` where there is none.
pub fn find() -> Option<PathBuf> {
    if let Err(why) = setup::strace() {
        eprintln!("xtask: system calls are not counted: {why}");
    }
    shell::find("strace")
}

/// The same command below strace, which writes its log to `log`.
pub fn wrap(strace: &Path, command: &Command, log: &Path) -> Command {
    let mut wrapped = Command::new(strace);
    wrapped.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(log);
    wrapped.arg(command.get_program()).args(command.get_args());
    wrapped
}

/// Counts the calls of a log of `strace -f -o`, for a target with these thread ids.
///
/// The window is that of the thread that asks a thread of the target to stop, and ends with its last request that one
/// go on.
pub fn count(log: impl BufRead, targets: &HashSet<u32>) -> io::Result<Calls> {
    let mut calls = Calls::default();
    let mut tracer: Option<String> = None;
    let mut since = 0;
    for line in log.lines() {
        let line = line?;
        let Some((thread, call)) = call(&line) else { continue };
        calls.all += 1;
        let does = |requests: &[&str]| argument(call, requests).is_some_and(|tid| targets.contains(&tid));
        if tracer.is_none() && does(STOPPING) {
            tracer = Some(thread.to_owned());
        }
        if tracer.as_deref() == Some(thread) {
            since += 1;
            if does(RELEASING) {
                calls.in_window = since;
            }
        }
    }
    Ok(calls)
}

/// Requests after which a thread stops, up to its id. The last is a signal to the process, see [`argument`].
const STOPPING: &[&str] = &["ptrace(PTRACE_INTERRUPT, ", "ptrace(PTRACE_ATTACH, ", "SIGSTOP"];
/// Requests after which it runs again.
const RELEASING: &[&str] = &["ptrace(PTRACE_DETACH, ", "SIGCONT"];

/// The id of the thread that makes a call, and the call; `None` for lines that are none, or the second half of one.
fn call(line: &str) -> Option<(&str, &str)> {
    let (thread, call) = line.split_once(' ')?;
    let call = call.trim_start();
    call.starts_with(|first: char| first.is_ascii_lowercase() || first == '_').then_some((thread, call))
}

/// The process or thread that a call concerns, if the call is one of these.
fn argument(call: &str, requests: &[&str]) -> Option<u32> {
    let rest = requests.iter().find_map(|request| match call.strip_prefix("kill(") {
        Some(rest) => rest.contains(request).then_some(rest),
        None => call.strip_prefix(request),
    })?;
    let end = rest.find(|end: char| !end.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Calls, count};

    fn counted(log: &str) -> Calls {
        count(log.as_bytes(), &[500, 501, 502].into()).unwrap()
    }

    #[test]
    fn the_window_is_from_the_first_interrupt_to_the_last_detach_of_the_tracing_thread() {
        let log = "\
100   execve(\"/bin/floor\", [\"floor\", \"500\"], 0x7ffd /* 12 vars */) = 0
100   mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7f0000000000
101   ptrace(PTRACE_SEIZE, 500, NULL, 0) = 0
101   ptrace(PTRACE_SEIZE, 501, NULL, 0) = 0
101   ptrace(PTRACE_INTERRUPT, 500) = 0
100   futex(0x7f00, FUTEX_WAIT, 2, NULL <unfinished ...>
101   ptrace(PTRACE_INTERRUPT, 501) = 0
101   wait4(500,  <unfinished ...>
101   <... wait4 resumed>[{WIFSTOPPED(s)}], __WALL, NULL) = 500
101   ptrace(PTRACE_DETACH, 500, NULL, 0) = 0
101   ptrace(PTRACE_DETACH, 501, NULL, 0 <unfinished ...>
101   <... ptrace resumed>) = 0
101   write(3, \"...\", 17) = 17
101   +++ exited with 0 +++
100   <... futex resumed>) = 0
100   +++ exited with 0 +++
";
        assert_eq!(counted(log), Calls { all: 11, in_window: 5 });
    }

    #[test]
    fn a_dumper_that_stops_with_signals_has_the_window_between_them() {
        let log = "\
7 openat(AT_FDCWD, \"/proc/500/stat\", O_RDONLY) = 3
7 kill(500, SIGSTOP) = 0
7 ptrace(PTRACE_ATTACH, 501) = 0
7 ptrace(PTRACE_DETACH, 501, NULL, 0) = 0
7 kill(500, SIGCONT) = 0
7 exit_group(0) = ?
";
        assert_eq!(counted(log), Calls { all: 6, in_window: 4 });
    }

    #[test]
    fn what_a_debugger_does_to_its_own_children_is_not_the_window() {
        let log = "\
8 kill(9, SIGSTOP) = 0
8 ptrace(PTRACE_DETACH, 9, NULL, 0) = 0
8 ptrace(PTRACE_ATTACH, 500) = 0
8 --- SIGCHLD {si_signo=SIGCHLD} ---
8 ptrace(PTRACE_DETACH, 500, NULL, 0) = 0
8 ptrace(PTRACE_DETACH, 9, NULL, 0) = 0
";
        assert_eq!(counted(log), Calls { all: 5, in_window: 2 });
        assert_eq!(counted(""), Calls::default());
    }
}
