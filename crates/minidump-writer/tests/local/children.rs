use crate::dump::{Dump, thread_id};
use crate::own_process;
use crate::traces::{Traces, assert_childless};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread;

/// Reaps every child there is, as some programs do.
extern "C" fn reap_all(_signal: libc::c_int) {
    // SAFETY: waitpid may be called in a handler; no status is wanted.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

fn on_child_signal(handler: libc::sighandler_t) {
    // SAFETY: the handler does what a handler may do.
    assert_ne!(unsafe { libc::signal(libc::SIGCHLD, handler) }, libc::SIG_ERR);
}

fn dumps_leave_no_trace(repetitions: u32) {
    let before = Traces::now();
    for _ in 0..repetitions {
        let dump = Dump::take();
        assert_eq!(dump.threads().threads[0].raw.thread_id, thread_id());
        assert_childless();
    }
    assert_eq!(Traces::now(), before);
}

fn in_a_program_that_reaps() {
    on_child_signal(reap_all as *const () as libc::sighandler_t);
    dumps_leave_no_trace(20);
}

fn in_a_program_that_ignores() {
    on_child_signal(libc::SIG_IGN);
    dumps_leave_no_trace(20);
}

fn beside_a_child_of_the_application() {
    let mut child = Command::new("/bin/sh");
    let mut child = child.args(["-c", "read x; exit 7"]).stdin(Stdio::piped()).spawn().unwrap();
    let dump = Dump::take();
    assert_eq!(dump.threads().threads[0].raw.thread_id, thread_id());
    child.stdin.take().unwrap().write_all(b"x\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7), "its exit status is still there to be had");
    assert_childless();
}

fn from_threads_at_once() {
    const THREADS: usize = 4;
    let start = Barrier::new(THREADS);
    let before = Traces::now();
    let ids = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let dump = Dump::take();
                    assert_eq!(dump.threads().threads[0].raw.thread_id, thread_id());
                    thread_id()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<std::collections::HashSet<_>>()
    });
    assert_eq!(ids.len(), THREADS);
    assert_childless();
    assert_eq!(Traces::now(), before);
}

fn in_a_fork() {
    // The original's dumps have left nothing that would keep its fork from taking one.
    Dump::take();
    // SAFETY: the copy takes a dump, whose code does not rely on other threads, and ends at once.
    match unsafe { libc::fork() } {
        -1 => panic!("no process to be had"),
        0 => {
            let dump = Dump::take();
            let own = dump.threads().threads[0].raw.thread_id == thread_id();
            // SAFETY: ends the copy.
            unsafe { libc::_exit(if own { 7 } else { 1 }) }
        }
        child => {
            let mut status = 0;
            // SAFETY: `status` is a live c_int.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status:#x}");
        }
    }
    assert_childless();
}

#[test]
fn a_handler_that_reaps_every_child_does_no_harm() {
    own_process::run("children::a_handler_that_reaps_every_child_does_no_harm", in_a_program_that_reaps);
}

#[test]
fn a_program_that_ignores_its_children_gets_its_dump() {
    own_process::run(
        "children::a_program_that_ignores_its_children_gets_its_dump",
        in_a_program_that_ignores,
    );
}

#[test]
fn the_exit_status_of_the_applications_own_child_is_not_taken() {
    own_process::run(
        "children::the_exit_status_of_the_applications_own_child_is_not_taken",
        beside_a_child_of_the_application,
    );
}

#[test]
fn threads_that_ask_at_once_get_a_dump_each() {
    own_process::run("children::threads_that_ask_at_once_get_a_dump_each", from_threads_at_once);
}

#[test]
fn a_fork_of_the_program_can_take_a_dump_of_itself() {
    own_process::run("children::a_fork_of_the_program_can_take_a_dump_of_itself", in_a_fork);
}
