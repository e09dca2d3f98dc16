//! Full dumps from a copy-on-write copy: they show one moment, and the target cannot tell that it was copied.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::process::wait_until;
use end_to_end::refusal::assert_refusal;
use end_to_end::target::number;
use end_to_end::unharmed::{assert_not_held, assert_unharmed, wait_for_stop};
use end_to_end::{Dump, Target, dump_with, needs, proc_files};
use serde_json::Value;

const COPY: [&str; 3] = ["--memory", "full", "--cow"];
const PAGE: u64 = 4096;

fn copied(target: &Target) -> Dump {
    dump_with(target.pid(), COPY)
}

#[test]
fn a_process_that_watches_itself_sees_nothing() {
    let mut target = Target::start(["witness"]);
    let before = target.ask("check");
    assert_eq!(before["no_children"], true, "{before}");
    for _ in 0..10 {
        let dump = copied(&target);
        assert_knows_its_memory(&dump, &target);
        assert_not_held(target.pid());
        assert_eq!(target.ask("check"), before);
        // Each blocked call ends in its proper way, with all registers as they were.
        assert_eq!(target.ask("wake")["faults"], 0);
        assert_eq!(target.ask("check"), before);
    }
}

#[test]
fn a_process_whose_only_thread_runs_sees_nothing() {
    let mut target = Target::start(["witness-spinning"]);
    let before = target.ask("check");
    for _ in 0..10 {
        let dump = copied(&target);
        assert_knows_its_memory(&dump, &target);
        assert_unharmed(&mut target);
        assert_eq!(target.ask("check"), before);
    }
}

#[test]
fn the_dump_shows_one_moment_of_a_process_that_writes_without_pause() {
    let mut target = Target::start(["lockstep"]);
    let (start, pages) = (target.number("start"), target.number("pages"));
    for _ in 0..5 {
        let dump = copied(&target);
        let bytes = dump.memory(start, usize::try_from(pages * PAGE).unwrap()).unwrap();
        let starts = bytes.chunks(usize::try_from(PAGE).unwrap());
        let rounds: Vec<u64> = starts.map(|page| u64::from_le_bytes(*page.first_chunk().unwrap())).collect();
        assert!(rounds.is_sorted_by(|earlier, later| earlier >= later), "the first pages are ahead");
        let (first, last) = (rounds.first().unwrap(), rounds.last().unwrap());
        assert!(*last > 0 && first - last <= 1, "pages of rounds {last} to {first}");
        assert_unharmed(&mut target);
    }
}

#[test]
fn memory_that_a_fork_does_not_take_along_is_in_the_dump() {
    let mut target = Target::start(["lockstep"]);
    let dump = copied(&target);
    for key in ["wiped", "absent"] {
        let address = number(&target.facts[key], "address");
        let byte = u8::try_from(number(&target.facts[key], "byte")).unwrap();
        let size = usize::try_from(PAGE).unwrap();
        assert_eq!(dump.memory(address, size), Some(vec![byte; size]), "{key}: {:?}", dump.soft_errors());
    }
    assert_unharmed(&mut target);
}

#[test]
fn threads_come_and_go() {
    let mut target = Target::start(["thread-churn", "4"]);
    for _ in 0..100 {
        let dump = copied(&target);
        dump.assert_parked(&target.parked());
        assert_unharmed(&mut target);
    }
}

#[test]
fn mappings_come_and_go() {
    let mut target = Target::start(["map-churn", "4"]);
    for _ in 0..100 {
        let dump = copied(&target);
        dump.assert_parked(&target.parked());
        assert_unharmed(&mut target);
    }
}

#[test]
fn registers_stacks_and_waits_of_the_target_are_left_alone() {
    let mut target = Target::start(["self-check"]);
    for _ in 0..20 {
        copied(&target);
        assert_unharmed(&mut target);
    }
    let answer = target.ask("ping");
    assert_eq!((&answer["faults"], &answer["broken_waits"]), (&Value::from(0), &Value::from(0)));
}

#[test]
fn a_stopped_process_stays_stopped() {
    let mut target = Target::start(["stopped"]);
    wait_for_stop(target.pid());
    let dump = copied(&target);
    dump.assert_parked(&target.parked());
    for tid in proc_files::threads(target.pid()) {
        wait_until("the thread to be stopped again", || proc_files::state(target.pid(), tid) == Some('T'));
        assert_eq!(proc_files::status_line(target.pid(), tid, "TracerPid").as_deref(), Some("0"));
    }
    // SAFETY: kill takes two numbers.
    assert_eq!(unsafe { libc::kill(target.pid(), libc::SIGCONT) }, 0);
    assert_unharmed(&mut target);
}

#[test]
fn a_thread_is_blocked_in_vfork() {
    let mut target = Target::start(["vfork-parent"]);
    let dump = dump_with(target.pid(), COPY.into_iter().chain(["--deadline", "5s"]));
    dump.assert_parked(&target.parked());
    assert_unharmed(&mut target);
    assert!(target.ask("release")["child"].is_u64(), "the blocked thread comes back when its child ends");
}

#[test]
fn the_main_thread_has_exited() {
    let target = Target::start(["main-exited"]);
    let dump = copied(&target);
    dump.assert_parked(&target.parked());
    assert_not_held(target.pid());
}

#[test]
fn signals_sent_meanwhile_all_arrive() {
    const SENT: u64 = 500;
    let mut target = Target::start(["signals"]);
    let (pid, signal) = (target.pid(), i32::try_from(target.number("signal")).unwrap());
    let sender = std::thread::spawn(move || {
        for value in 1..=SENT {
            let value =
                libc::sigval { sival_ptr: std::ptr::without_provenance_mut(usize::try_from(value).unwrap()) };
            // SAFETY: sigqueue takes numbers; the value is not used as a pointer.
            while unsafe { libc::sigqueue(pid, signal, value) } != 0 {
                std::thread::yield_now();
            }
            std::thread::yield_now();
        }
    });
    loop {
        copied(&target);
        if sender.is_finished() {
            break;
        }
    }
    sender.join().unwrap();
    wait_until("all signals to arrive", || target.ask("count")["received"] == SENT);
    assert_eq!(target.ask("count")["sum"], SENT * (SENT + 1) / 2, "each arrived once with its own value");
    assert_unharmed(&mut target);
}

#[test]
fn a_process_that_would_adopt_the_copy_is_refused() {
    assert_refused(Target::start(["witness-subreaper"]), "subreaper");
}

#[test]
fn the_init_of_a_pid_namespace_is_refused() {
    if !needs::root("the_init_of_a_pid_namespace_is_refused") {
        return;
    }
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--fork", "--pid", "--mount-proc", "--kill-child"])
        .arg(end_to_end::programs::crasher())
        .arg("witness");
    let mut target = Target::start_command(&mut command);
    let before = target.ask("check");
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", target.pid())).unwrap();
    let init = children.trim();
    let finished = end_to_end::dump::run_dumper(["dump", init, "-o", "/dev/null"].into_iter().chain(COPY));
    assert_refusal(&finished, &["init of its PID namespace"]);
    assert_eq!(target.ask("check"), before);
}

#[test]
fn a_process_under_a_seccomp_filter_is_refused() {
    assert_refused(Target::start(["witness-filtered"]), "seccomp");
}

#[test]
fn a_process_that_may_make_no_more_processes_is_refused() {
    let mut target = Target::start(["witness-limited"]);
    target.ask("limit");
    assert_refused(target, "Resource temporarily unavailable");
}

/// Fails unless the copy is refused for this reason and the target, a witness, sees nothing of the attempt.
#[track_caller]
fn assert_refused(mut target: Target, reason: &str) {
    let before = target.ask("check");
    let folder = tempfile::tempdir().unwrap();
    let mut command = end_to_end::dump::dump_command(target.pid());
    command.args(COPY).arg("-o").arg(folder.path().join("x.dmp"));
    let finished = end_to_end::process::run(&mut command);
    assert_refusal(&finished, &[reason]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file is left");
    assert_not_held(target.pid());
    assert_eq!(target.ask("check"), before);
    assert_eq!(target.ask("wake")["faults"], 0);
}

/// Fails unless the dump has the words that the witness wrote: each its index times a constant.
#[track_caller]
fn assert_knows_its_memory(dump: &Dump, target: &Target) {
    let (start, words) = (target.number("memory"), target.number("length") / 8);
    for index in [0, words / 2, words - 1] {
        let expected = index.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        assert_eq!(dump.memory(start + index * 8, 8), Some(expected.to_vec()), "word {index}");
    }
}
