//! The ptrace requests of a supervisor, each as one safe function. All act on tracees of the calling thread and fail
//! for anything else; a tracee that has been killed meanwhile is no failure, as its end is told later. Source: ptrace(2).
#![allow(unsafe_code)]

use libc::{c_int, c_long, pid_t};
use std::io;
use std::mem::offset_of;

/// Everything that a tracee starts is traced, too; it stops after exec and before it ends.
const OPTIONS: c_int = libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACEEXIT;

/// What a wait told of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It has ended; the status of wait(2).
    Ended {
        /// As wait(2) tells it.
        status: c_int,
    },
    /// It stands still.
    Stopped {
        /// Why.
        event: Event,
        /// The signal that goes with it.
        signal: c_int,
    },
}

/// Why a thread stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is about to get a signal.
    Signal,
    /// Job control has stopped its process.
    GroupStop,
    /// It has called exec.
    Exec,
    /// It is about to end.
    Exit,
    /// It has started another, is new itself, or was asked to stop.
    Other,
}

fn request(request: impl Into<c_long>, tid: pid_t, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: callers pass, for `data`, either a plain number or the address of a live buffer of the size that the
    // request writes; the kernel checks all else and writes nothing on failure.
    let result = unsafe { libc::syscall(libc::SYS_ptrace, request.into(), c_long::from(tid), address, data) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes the calling thread the tracer of `tid`, and of all that this starts from now on. It runs on.
pub fn seize(tid: pid_t) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, tid, 0, usize::try_from(OPTIONS).unwrap_or(0))
}

/// Lets a stopped thread go on, with `signal` unless it is zero.
pub fn go_on(tid: pid_t, signal: c_int) {
    let _ = request(libc::PTRACE_CONT, tid, 0, usize::try_from(signal).unwrap_or(0));
}

/// Leaves a thread that job control has stopped as it is, and hears when that ends.
pub fn listen(tid: pid_t) {
    let _ = request(libc::PTRACE_LISTEN, tid, 0, 0);
}

/// Asks a running thread to stop.
pub fn interrupt(tid: pid_t) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

/// Of a thread that is about to end: the signal that has killed it, if one has.
pub fn killed_by(tid: pid_t) -> Option<c_int> {
    let mut status: libc::c_ulong = 0;
    request(libc::PTRACE_GETEVENTMSG, tid, 0, (&raw mut status) as usize).ok()?;
    let status = c_int::try_from(status).ok()?;
    libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
}

/// Why the thread is about to get its signal: the kernel's `siginfo_t`.
pub fn siginfo(tid: pid_t) -> Option<[u8; 128]> {
    let mut info = [0_u8; 128];
    const { assert!(size_of::<libc::siginfo_t>() == 128) };
    request(libc::PTRACE_GETSIGINFO, tid, 0, info.as_mut_ptr() as usize).ok()?;
    Some(info)
}

/// The instruction pointer of a stopped thread.
pub fn instruction_pointer(tid: pid_t) -> Option<u64> {
    register(tid, offset_of!(libc::user_regs_struct, rip))
}

/// Whether seccomp has refused the system call that a stopped thread makes: the kernel has put the registers back to how
/// they were at the call then, while a call that was interrupted has a result.
pub fn is_call_refused(tid: pid_t) -> bool {
    let call = register(tid, offset_of!(libc::user_regs_struct, orig_rax));
    call.is_some_and(|call| call != u64::MAX)
        && call == register(tid, offset_of!(libc::user_regs_struct, rax))
}

fn register(tid: pid_t, offset: usize) -> Option<u64> {
    let mut word = 0_u64;
    let offset = offset_of!(libc::user, regs) + offset;
    request(libc::PTRACE_PEEKUSER, tid, offset, (&raw mut word) as usize).ok()?;
    Some(word)
}

/// Lets a stopped thread go for good.
pub fn detach(tid: pid_t) {
    let _ = request(libc::PTRACE_DETACH, tid, 0, 0);
}

/// Waits until something happens to a tracee of the calling thread.
pub fn wait_for_any() -> io::Result<(pid_t, Wait)> {
    loop {
        match wait(-1, 0) {
            Ok(Some(told)) => return Ok(told),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Looks whether something has happened to `tid`.
pub fn poll(tid: pid_t) -> io::Result<Option<Wait>> {
    Ok(wait(tid, libc::WNOHANG)?.map(|(_, wait)| wait))
}

fn wait(tid: pid_t, flags: c_int) -> io::Result<Option<(pid_t, Wait)>> {
    let mut status = 0;
    // Not the children of other threads: they are not this one's to reap.
    let flags = flags | libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: `status` is a live c_int.
    match unsafe { libc::waitpid(tid, &raw mut status, flags) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        tid => Ok(Some((tid, understood(status)))),
    }
}

fn understood(status: c_int) -> Wait {
    if !libc::WIFSTOPPED(status) {
        return Wait::Ended { status };
    }
    let signal = libc::WSTOPSIG(status);
    let event = match status >> 16 {
        0 => Event::Signal,
        libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => Event::GroupStop,
        libc::PTRACE_EVENT_EXEC => Event::Exec,
        libc::PTRACE_EVENT_EXIT => Event::Exit,
        _ => Event::Other,
    };
    Wait::Stopped { event, signal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_kernel_are_understood() {
        let stopped = |event: c_int, signal: c_int| understood(event << 16 | signal << 8 | 0x7f);
        let expected = |event, signal| Wait::Stopped { event, signal };
        assert_eq!(stopped(0, 11), expected(Event::Signal, 11));
        assert_eq!(stopped(128, libc::SIGTSTP), expected(Event::GroupStop, libc::SIGTSTP));
        assert_eq!(stopped(128, libc::SIGTRAP), expected(Event::Other, libc::SIGTRAP));
        assert_eq!(stopped(6, libc::SIGTRAP), expected(Event::Exit, libc::SIGTRAP));
        assert_eq!(stopped(4, libc::SIGTRAP), expected(Event::Exec, libc::SIGTRAP));
        assert_eq!(stopped(3, libc::SIGTRAP), expected(Event::Other, libc::SIGTRAP));
        assert_eq!(understood(11), Wait::Ended { status: 11 });
        assert_eq!(understood(3 << 8), Wait::Ended { status: 3 << 8 });
    }
}
