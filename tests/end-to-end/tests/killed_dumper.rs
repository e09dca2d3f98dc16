//! The dumper is killed at many moments: the target runs on, neither stopped nor traced.
//!
//! The moments are counted in system calls of the dumper, so that they are the same on every machine: the test traces
//! all threads of the dumper and kills it when one enters the Nth.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::process::DEADLINE;
use end_to_end::unharmed::{assert_advances, assert_not_held, assert_unharmed, wait_for_stop};
use end_to_end::{Target, proc_files, programs};
use std::collections::HashSet;
use std::ffi::{c_int, c_void};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};

/// How many moments are tried.
const MOMENTS: usize = 60;

#[test]
fn a_running_target_runs_on() {
    let mut target = Target::start(["sampler", "24"]);
    let total = run_until(target.pid(), usize::MAX);
    assert!(total > 50, "a dump takes more than {total} system calls");
    for moment in 1..=MOMENTS {
        run_until(target.pid(), total * moment / (MOMENTS + 1));
        assert_not_held_soon(target.pid());
        assert_advances(&mut target, 0);
        assert_unharmed(&mut target);
    }
}

#[test]
fn a_stopped_target_stays_stopped() {
    let mut target = Target::start(["stopped"]);
    wait_for_stop(target.pid());
    let total = run_until(target.pid(), usize::MAX);
    for moment in 1..=MOMENTS / 4 {
        run_until(target.pid(), total * moment / (MOMENTS / 4 + 1));
        for tid in proc_files::threads(target.pid()) {
            end_to_end::process::wait_until("the tracer to be gone", || is_untraced(target.pid(), tid));
            end_to_end::process::wait_until("the thread to be stopped again", || {
                proc_files::state(target.pid(), tid) == Some('T')
            });
        }
    }
    // SAFETY: kill takes two numbers.
    assert_eq!(unsafe { libc::kill(target.pid(), libc::SIGCONT) }, 0);
    assert_unharmed(&mut target);
}

#[test]
fn a_target_that_is_being_copied_runs_on() {
    const COPY: [&str; 3] = ["--memory", "full", "--cow"];
    let mut target = Target::start(["witness"]);
    let before = target.ask("check");
    let requests = run_until_with(target.pid(), &COPY, usize::MAX).requests.clone();
    assert!(requests.len() > 50, "a copy takes more than {} requests", requests.len());
    for moment in 0..MOMENTS {
        run_until_with(target.pid(), &COPY, *requests.get(requests.len() * moment / MOMENTS).unwrap());
        assert_not_held_soon(target.pid());
        // The helper, which shares the target's memory, ends a moment after the dumper.
        end_to_end::process::wait_until(&format!("the target to be as it was, moment {moment}"), || {
            let mut after = target.ask("check");
            // A dead helper may be left, which the target sees only where it asks for clones (__WALL).
            after["no_children"] = before["no_children"].clone();
            after == before
        });
        assert_eq!(target.ask("wake")["faults"], 0, "moment {moment}");
    }
}

/// Runs a dump until it enters system call number `limit`, then kills it. Returns how many it entered.
#[track_caller]
fn run_until(pid: i32, limit: usize) -> usize {
    run_until_with(pid, &[], limit).entered
}

/// The same with further arguments.
#[track_caller]
fn run_until_with(pid: i32, arguments: &[&str], limit: usize) -> Traced {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dmp");
    let mut command = Command::new(programs::dumper());
    command.arg("dump").arg(pid.to_string()).arg("-o").arg(&path).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: ptrace is async-signal-safe, and PTRACE_TRACEME takes no pointers.
    unsafe {
        command.pre_exec(|| {
            libc::ptrace(
                libc::PTRACE_TRACEME,
                0,
                std::ptr::null_mut::<c_void>(),
                std::ptr::null_mut::<c_void>(),
            );
            Ok(())
        });
    }
    let mut traced = Traced::new(&command.spawn().unwrap());
    while traced.entered < limit && traced.step() {}
    if traced.exit.is_some() {
        assert_eq!(traced.exit, Some(0), "an undisturbed dump succeeds and does not hang");
        assert!(path.exists());
    } else {
        traced.kill();
        assert_whole_or_absent(&path);
    }
    traced
}

/// A dumper with all its threads traced by the calling thread.
struct Traced {
    pid: i32,
    /// Threads between entry and exit of a system call.
    inside: HashSet<i32>,
    /// System calls entered so far.
    entered: usize,
    /// Which of them were calls of ptrace.
    requests: Vec<usize>,
    /// Wait status, when it has ended.
    exit: Option<c_int>,
    /// Dropped when it has ended: until then somebody watches that it does not hang.
    _watch: Sender<()>,
}

/// What a stop at a system call shows as its signal with `PTRACE_O_TRACESYSGOOD`.
const SYSTEM_CALL_STOP: c_int = libc::SIGTRAP | 0x80;

impl Traced {
    fn new(child: &Child) -> Self {
        let pid: i32 = child.id().try_into().unwrap();
        let (watch, ended) = channel();
        std::thread::spawn(move || {
            if ended.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
                // SAFETY: kill takes two numbers. The child is not reaped before `watch` is dropped.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        });
        Self { pid, inside: HashSet::new(), entered: 0, requests: Vec::new(), exit: None, _watch: watch }
    }

    /// Waits for one thread to stop and lets it go on. False when the dumper has ended.
    fn step(&mut self) -> bool {
        let (tid, status) = self.wait();
        if !libc::WIFSTOPPED(status) {
            return self.exit.is_none();
        }
        let mut signal = 0;
        match libc::WSTOPSIG(status) {
            SYSTEM_CALL_STOP if self.inside.insert(tid) => {
                self.entered += 1;
                if system_call(tid) == libc::SYS_ptrace {
                    self.requests.push(self.entered);
                }
            }
            SYSTEM_CALL_STOP => drop(self.inside.remove(&tid)),
            // The stop of exec, and those that tell of a new thread.
            libc::SIGTRAP => {
                let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE;
                trace(libc::PTRACE_SETOPTIONS, tid, options);
            }
            // The first stop of a new thread; nobody else sends this signal.
            libc::SIGSTOP => {}
            other => signal = other,
        }
        trace(libc::PTRACE_SYSCALL, tid, signal);
        true
    }

    /// Kills it and waits until nothing of it is left.
    fn kill(&mut self) {
        // SAFETY: kill takes two numbers, and the child is not reaped yet.
        assert_eq!(unsafe { libc::kill(self.pid, libc::SIGKILL) }, 0);
        while self.exit.is_none() {
            self.wait();
        }
    }

    /// The next change of a thread that the calling thread traces; the target is its child too, but changes nothing.
    fn wait(&mut self) -> (i32, c_int) {
        let mut status = 0;
        // SAFETY: `status` has room for what waitpid writes.
        let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        assert!(tid > 0, "waitpid: {}", std::io::Error::last_os_error());
        if tid == self.pid && !libc::WIFSTOPPED(status) {
            self.exit = Some(status);
        }
        (tid, status)
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if self.exit.is_none() {
            // SAFETY: kill takes two numbers, and the child is not reaped yet.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
    }
}

/// The system call that a thread stopped at.
fn system_call(tid: i32) -> i64 {
    let place =
        std::ptr::without_provenance_mut::<c_void>(std::mem::offset_of!(libc::user_regs_struct, orig_rax));
    // SAFETY: the request takes an offset into `struct user`, which begins with the registers, and returns the word.
    unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, tid, place, std::ptr::null_mut::<c_void>()) }
}

/// Makes a request about a stopped thread. One that is being killed cannot be asked for anything any more.
fn trace(request: libc::c_uint, tid: i32, data: c_int) {
    let data = std::ptr::without_provenance_mut::<c_void>(usize::try_from(data).unwrap());
    // SAFETY: the requests used here take a number as their data.
    let result = unsafe { libc::ptrace(request, tid, std::ptr::null_mut::<c_void>(), data) };
    let error = std::io::Error::last_os_error();
    assert!(result == 0 || error.raw_os_error() == Some(libc::ESRCH), "ptrace({request}): {error}");
}

/// The kernel detaches a dead tracer's threads before it reports the tracer's death, so nothing is left to wait for;
/// still the states are those of /proc, which a loaded machine may show a little late.
#[track_caller]
fn assert_not_held_soon(pid: i32) {
    for tid in proc_files::threads(pid) {
        end_to_end::process::wait_until("the tracer to be gone", || is_untraced(pid, tid));
    }
    assert_not_held(pid);
}

fn is_untraced(pid: i32, tid: u32) -> bool {
    proc_files::status_line(pid, tid, "TracerPid").is_none_or(|tracer| tracer == "0")
}

/// Under the final name there is a whole dump or nothing.
#[track_caller]
fn assert_whole_or_absent(path: &Path) {
    if let Ok(bytes) = std::fs::read(path) {
        let dump = minidump::Minidump::read(bytes.as_slice());
        let dump = dump.unwrap_or_else(|error| panic!("a partial dump has the final name: {error}"));
        let list = dump.get_stream::<minidump::MinidumpThreadList>();
        assert!(list.is_ok_and(|list| !list.threads.is_empty()), "a partial dump has the final name");
    }
}
