//! Processes that stop, end, or have children in special states.

use crate::chain;
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// `stopped`: three parked workers, then SIGSTOP for the whole process. The line is printed before the stop; the
/// event to wait for is the parent's wait status. Answers `ping` when continued.
pub fn stopped(_: &Arguments) {
    let workers = chain::start_workers(3, 256 * 1024);
    crate::threads::worker_facts(&workers).print();
    // SAFETY: raise touches no memory of ours.
    sys::check("raise(SIGSTOP)", unsafe { libc::raise(libc::SIGSTOP) });
    control::serve_ping();
}

/// `exit-soon N`: N parked workers (default 8); the command `exit` ends the process with status 7, unanswered.
pub fn exit_soon(arguments: &Arguments) {
    let workers = chain::start_workers(arguments.parsed(0, 8), 64 * 1024);
    crate::threads::worker_facts(&workers).print();
    control::serve(|command| match command {
        "exit" => sys::exit_now(7),
        _ => Facts::new().flag("pong", true),
    });
}

/// `zombie`: a child that has ended and is not waited for.
pub fn zombie(_: &Arguments) {
    let child = fork();
    if child == 0 {
        sys::exit_now(0);
    }
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` has room for what waitid writes. WNOWAIT leaves the child as it is.
    let result = unsafe {
        libc::waitid(libc::P_PID, child.unsigned_abs(), info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT)
    };
    sys::check("waitid", result);
    Facts::new().number("child", child.unsigned_abs()).print();
    control::serve_ping();
}

/// `traced`: a child that this process traces (`PTRACE_SEIZE`) for as long as it lives.
pub fn traced(_: &Arguments) {
    let child = fork();
    if child == 0 {
        sys::die_with_parent();
        loop {
            // SAFETY: pause touches no memory.
            unsafe { libc::pause() };
        }
    }
    // SAFETY: PTRACE_SEIZE with options takes no pointers.
    let result = unsafe {
        libc::ptrace(libc::PTRACE_SEIZE, child, std::ptr::null_mut::<c_void>(), libc::PTRACE_O_EXITKILL)
    };
    assert_eq!(result, 0, "PTRACE_SEIZE: {}", std::io::Error::last_os_error());
    Facts::new().number("child", child.unsigned_abs()).print();
    control::serve_ping();
}

/// Ends of the pipe on which the vfork child waits.
static CHILD_READS: AtomicI32 = AtomicI32::new(-1);
static CHILD_WRITES: AtomicI32 = AtomicI32::new(-1);

/// `vfork-parent`: a thread blocked in vfork by a child that waits; three parked workers beside it. The command
/// `release` lets the child end and answers when the blocked thread has come back.
pub fn vfork_parent(_: &Arguments) {
    let workers = chain::start_workers(3, 256 * 1024);
    let mut ends: [RawFd; 2] = [0; 2];
    // SAFETY: pipe writes two numbers into the array.
    sys::check("pipe", unsafe { libc::pipe(ends.as_mut_ptr()) });
    let [reads, writes] = ends;
    CHILD_READS.store(reads, Ordering::Release);
    CHILD_WRITES.store(writes, Ordering::Release);
    let (send, receive) = std::sync::mpsc::channel();
    let block = move || {
        send.send(sys::thread_id()).expect("the main thread listens");
        let child = vfork_child();
        send.send(child.unsigned_abs()).expect("the main thread listens");
    };
    std::thread::Builder::new().name("vfork-parent".into()).spawn(block).expect("a thread can be started");
    let tid = receive.recv().expect("the thread reports");
    sys::wait_until("the thread to block in vfork", || sys::thread_state(tid) == Some('D'));
    crate::threads::worker_facts(&workers).number("tid", tid).print();
    control::serve(move |command| match command {
        "release" => {
            // SAFETY: one byte is written from a static.
            unsafe { libc::write(writes, b"x".as_ptr().cast(), 1) };
            Facts::new().number("child", receive.recv().expect("the thread comes back"))
        }
        _ => Facts::new().flag("pong", true),
    });
}

/// Blocks the calling thread until the child ends, as vfork does (clone with `CLONE_VM` and `CLONE_VFORK`).
fn vfork_child() -> c_int {
    extern "C" fn child(_: *mut c_void) -> c_int {
        sys::die_with_parent();
        let mut byte = 0u8;
        // SAFETY: closing the child's own copy of the writing end lets it see the end of the pipe when the parent
        // has gone; one byte is read into `byte`.
        unsafe {
            libc::close(CHILD_WRITES.load(Ordering::Acquire));
            libc::read(CHILD_READS.load(Ordering::Acquire), (&raw mut byte).cast(), 1);
        }
        sys::exit_now(0)
    }
    let mut stack = vec![0u128; 4096].into_boxed_slice();
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child runs on a stack of its own, aligned to 16, which outlives it because CLONE_VFORK blocks this
    // thread until it has ended. It shares this thread's errno, which nobody reads meanwhile.
    let child = unsafe { libc::clone(child, top.cast(), flags, std::ptr::null_mut()) };
    sys::check("clone", child)
}

fn fork() -> c_int {
    // SAFETY: called before any thread is started, so the child may do as it likes.
    sys::check("fork", unsafe { libc::fork() })
}
