//! Targets that exit or exec while they are being dumped: the dumper ends soon with a readable dump or one clear
//! sentence, and the target is never held up.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::process::{self, Guarded};
use end_to_end::refusal::assert_refusal;
use end_to_end::unharmed::{assert_not_held, assert_unharmed};
use end_to_end::{Target, dump, programs};
use minidump::{Minidump, MinidumpModuleList, MinidumpThreadList};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many moments of a dump are tried.
const MOMENTS: u32 = 40;

#[test]
fn a_target_exits_in_the_middle() {
    let length = time_of_a_dump("exit-soon");
    for moment in 0..MOMENTS {
        let mut target = Target::start(["exit-soon", "64"]);
        dump_while(&mut target, length * moment / MOMENTS, "exit");
        assert_eq!(target.wait().code(), Some(7), "the target's own exit code is kept");
    }
}

#[test]
fn a_target_is_killed_in_the_middle() {
    let length = time_of_a_dump("exit-soon");
    for moment in 0..MOMENTS {
        let target = Target::start(["exit-soon", "64"]);
        let pid = target.pid();
        let mut target = Some(target);
        dump_during(pid, length * moment / MOMENTS, || drop(target.take()));
    }
}

#[test]
fn a_target_execs_in_the_middle() {
    let length = time_of_a_dump("exec-on-demand");
    let mut target = Target::start(["exec-on-demand"]);
    for moment in 0..MOMENTS {
        dump_while(&mut target, length * moment / MOMENTS, "exec");
        let facts = target.next_line();
        assert_eq!(facts["generation"], moment + 1, "the next generation runs");
        assert_eq!(facts["pid"], target.pid());
        assert_unharmed_generation(&mut target, moment + 1);
    }
}

#[test]
fn a_target_execs_over_and_over() {
    let mut target = Target::start(["exec-loop"]);
    for _ in 0..MOMENTS {
        let pid = target.pid();
        dump_during(pid, Duration::ZERO, || ());
    }
    assert_unharmed(&mut target);
}

#[track_caller]
fn assert_unharmed_generation(target: &mut Target, generation: u32) {
    assert_not_held(target.pid());
    assert_eq!(target.ask("ping")["counter"], generation);
}

/// How long a dump of this scenario takes, so that the moments spread over it.
fn time_of_a_dump(scenario: &str) -> Duration {
    let target = Target::start([scenario]);
    let start = Instant::now();
    dump(target.pid());
    start.elapsed()
}

/// Starts a dump and gives the target `command` after `delay`.
fn dump_while(target: &mut Target, delay: Duration, command: &str) {
    let pid = target.pid();
    dump_during(pid, delay, || target.tell(command));
}

/// Starts a dump, calls `act` after `delay`, and checks what the dumper leaves.
#[track_caller]
fn dump_during(pid: i32, delay: Duration, act: impl FnOnce()) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target.dmp");
    let mut command = Command::new(programs::dumper());
    command.arg("dump").arg(pid.to_string()).arg("-o").arg(&path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut dumper = Guarded::start(&mut command);
    // The moment is what is tried out here; nothing is awaited.
    while started.elapsed() < delay {
        std::hint::spin_loop();
    }
    act();
    let mut stderr = String::new();
    let status = dumper.wait("the dumper of a vanishing target");
    std::io::Read::read_to_string(&mut dumper.child().stderr.take().unwrap(), &mut stderr).unwrap();
    if status.success() {
        assert_readable(&path);
    } else {
        assert_refusal(&process::Finished { status, stdout: Vec::new(), stderr }, &[&pid.to_string()]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }
}

#[track_caller]
fn assert_readable(path: &Path) {
    let dump = Minidump::read_path(path).unwrap();
    let threads: MinidumpThreadList = dump.get_stream().unwrap();
    assert_ne!(threads.threads.len(), 0, "a dump that counts as done has threads");
    dump.get_stream::<MinidumpModuleList>().unwrap();
}
