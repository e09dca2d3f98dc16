//! Children that crash while their parent lives on, and ends with 0 when all of them died of a signal.

use super::{Kind, SURVIVED, Setting::Alone, faults};
use crate::sys;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Children of [`children_at_once`].
const MANY: usize = 16;

pub const KINDS: &[Kind] = &[
    ("forked", Alone, forked),
    ("vforked", Alone, vforked),
    ("children-at-once", Alone, children_at_once),
    ("namespace-init", Alone, namespace_init),
    ("namespace-child", Alone, namespace_child),
    ("grandchild", Alone, grandchild),
    ("exec", Alone, exec),
];

/// A child, made by fork.
fn forked() {
    let child = fork(crash_here_forked);
    sys::exit_now(reap(child));
}

#[inline(never)]
fn crash_here_forked() {
    faults::null();
}

/// The child of a child whose parent has ended before. It becomes a child of this process, which can await its end.
fn grandchild() {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a number.
    sys::check("prctl", unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) });
    let (reads, writes) = pipe();
    let child = fork(move || {
        fork_alone(move || {
            wait_for_end(reads, writes);
            crash_here_grandchild();
        });
        sys::exit_now(0);
    });
    let mut status = 0;
    // SAFETY: the status outlives the call; the descriptor is ours.
    unsafe {
        sys::check("waitpid", libc::waitpid(child, &raw mut status, 0));
        libc::close(writes);
    }
    let mut orphan = 0;
    // SAFETY: the status outlives the call.
    sys::check("wait", unsafe { libc::wait(&raw mut orphan) });
    sys::exit_now(if libc::WIFSIGNALED(orphan) { 0 } else { SURVIVED });
}

#[inline(never)]
fn crash_here_grandchild() {
    faults::null();
}

/// A child that runs in its parent's memory, as vfork makes it.
fn vforked() {
    extern "C" fn child(_: *mut c_void) -> c_int {
        crash_here_vforked();
        SURVIVED
    }
    let mut stack = vec![0u128; 4096].into_boxed_slice();
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child runs on a stack of its own, aligned to 16, which outlives it because CLONE_VFORK blocks this
    // thread until it has ended. It shares this thread's errno, which nobody reads meanwhile.
    let child = unsafe { libc::clone(child, top.cast(), flags, std::ptr::null_mut()) };
    sys::exit_now(reap(sys::check("clone", child)));
}

#[inline(never)]
fn crash_here_vforked() {
    faults::null();
}

/// Many children that crash at the same time.
fn children_at_once() {
    let (reads, writes) = pipe();
    let die = move || {
        wait_for_end(reads, writes);
        crash_here_children_at_once();
    };
    let children: Vec<c_int> = (0..MANY).map(|_| fork(die)).collect();
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(writes) };
    let worst = children.into_iter().map(reap).max().unwrap_or(SURVIVED);
    sys::exit_now(worst);
}

#[inline(never)]
fn crash_here_children_at_once() {
    faults::null();
}

/// Process 1 of a process id namespace. Needs root.
fn namespace_init() {
    new_namespace();
    let child = fork(crash_here_namespace_init);
    sys::exit_now(reap(child));
}

#[inline(never)]
fn crash_here_namespace_init() {
    faults::null();
}

/// A process of a process id namespace whose process 1 lives on. Needs root.
fn namespace_child() {
    new_namespace();
    let init = fork(|| {
        let child = fork(crash_here_namespace_child);
        sys::exit_now(reap(child));
    });
    let mut status = 0;
    // SAFETY: the status outlives the call.
    sys::check("waitpid", unsafe { libc::waitpid(init, &raw mut status, 0) });
    sys::exit_now(libc::WEXITSTATUS(status));
}

#[inline(never)]
fn crash_here_namespace_child() {
    faults::null();
}

/// Replaces itself by a program that crashes, from whichever thread this is.
fn exec() {
    let error = Command::new("/proc/self/exe").args(["crash", "null", "main"]).exec();
    panic!("exec: {error}");
}

fn new_namespace() {
    // SAFETY: unshare takes a number; it concerns children to come only.
    sys::check("unshare", unsafe { libc::unshare(libc::CLONE_NEWPID) });
}

/// Starts a child that runs `body` and does not outlive this process.
fn fork(body: impl FnOnce()) -> c_int {
    fork_alone(|| {
        sys::die_with_parent();
        body();
    })
}

/// Starts a child that runs `body`.
fn fork_alone(body: impl FnOnce()) -> c_int {
    // SAFETY: this process has one thread, so the child may do as it likes.
    let child = sys::check("fork", unsafe { libc::fork() });
    if child == 0 {
        body();
        sys::exit_now(SURVIVED);
    }
    child
}

/// Starts a child that runs `body`.
pub fn forked_to(body: impl FnOnce()) -> c_int {
    fork(body)
}

/// Waits for `child`. Whether a signal has killed it.
pub fn is_killed(child: c_int) -> bool {
    reap(child) == 0
}

/// Waits for `child`: 0 when a signal has killed it.
fn reap(child: c_int) -> c_int {
    let mut status = 0;
    // SAFETY: the status outlives the call.
    sys::check("waitpid", unsafe { libc::waitpid(child, &raw mut status, 0) });
    black_box(if libc::WIFSIGNALED(status) { 0 } else { SURVIVED })
}

fn pipe() -> (RawFd, RawFd) {
    let mut ends: [RawFd; 2] = [0; 2];
    // SAFETY: pipe writes two numbers into the array.
    sys::check("pipe", unsafe { libc::pipe(ends.as_mut_ptr()) });
    let [reads, writes] = ends;
    (reads, writes)
}

/// Waits until nobody can write into the pipe any more, this process itself included.
fn wait_for_end(reads: RawFd, writes: RawFd) {
    let mut byte = 0u8;
    // SAFETY: the descriptors are ours; one byte is read into `byte`.
    unsafe {
        libc::close(writes);
        libc::read(reads, (&raw mut byte).cast(), 1);
    }
}
