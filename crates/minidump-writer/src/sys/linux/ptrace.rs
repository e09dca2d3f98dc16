//! The ptrace requests this program makes, each as one safe function.
//!
//! All of them act on a tracee of the calling thread and fail with ESRCH for anything else, so no call can disturb a
//! process that was not seized first. Source: ptrace(2).
#![allow(unsafe_code)]

use libc::{c_int, c_long, c_void, pid_t};
use std::io;

/// What a wait told about a tracee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It has stopped. `signal` is the signal it was about to be given, which must be handed on when it is let go;
    /// zero when there is none.
    Stopped { signal: c_int },
    /// It is dead.
    Gone,
    /// Nothing has happened yet.
    Nothing,
}

fn request(request: impl Into<c_long>, tid: pid_t, address: usize, data: usize) -> io::Result<c_long> {
    // SAFETY: callers pass, for `data`, either a plain number or the address of a live buffer of the size that the
    // request writes; the kernel checks all else and writes nothing on failure.
    let result = unsafe { libc::syscall(libc::SYS_ptrace, request.into(), c_long::from(tid), address, data) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Makes the calling thread the tracer of `tid` without stopping it.
pub fn seize(tid: pid_t) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, tid, 0, 0).map(drop)
}

/// Whether `tid` is (still) a thread of process `pid`. It is not when the thread has ended and its id was used again.
pub fn is_thread_of(pid: pid_t, tid: pid_t) -> bool {
    // SAFETY: signal 0 only asks whether the thread exists in that process.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, 0) };
    // EPERM: there is such a thread, and signals to it are forbidden.
    result == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// Asks a seized thread to stop. No signal is involved, so neither the thread nor its parent notices.
pub fn interrupt(tid: pid_t) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0).map(drop)
}

/// Lets a stopped tracee go, handing `signal` on to it. A thread that was in a group stop goes back to it.
pub fn detach(tid: pid_t, signal: c_int) -> io::Result<()> {
    request(libc::PTRACE_DETACH, tid, 0, usize::try_from(signal).unwrap_or(0)).map(drop)
}

/// Copies register set `kind` (NT_*, <elf.h>) of a stopped tracee into `buffer`; returns its length.
pub fn register_set(tid: pid_t, kind: usize, buffer: &mut [u8]) -> io::Result<usize> {
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast::<c_void>(), iov_len: buffer.len() };
    request(libc::PTRACE_GETREGSET, tid, kind, (&raw mut vector) as usize)?;
    Ok(vector.iov_len.min(buffer.len()))
}

/// The word at `offset` of a stopped tracee's `struct user` (<sys/user.h>).
pub fn peek_user(tid: pid_t, offset: usize) -> io::Result<u64> {
    let mut word = 0_u64;
    request(libc::PTRACE_PEEKUSER, tid, offset, (&raw mut word) as usize)?;
    Ok(word)
}

/// The word of memory at `address` of a stopped tracee.
pub fn peek_data(tid: pid_t, address: usize) -> io::Result<[u8; 8]> {
    let mut word = 0_u64;
    request(libc::PTRACE_PEEKDATA, tid, address, (&raw mut word) as usize)?;
    Ok(word.to_ne_bytes())
}

/// Asks, without waiting, whether a tracee has stopped or died.
///
/// With `leave_exit`, the exit of the tracee is seen but not taken: its real parent, which is this very process, is
/// the one to reap it.
pub fn poll_event(tid: pid_t, leave_exit: bool) -> io::Result<Event> {
    if leave_exit {
        return poll_stop_only(tid);
    }
    let mut status = 0;
    // SAFETY: `status` is a live c_int.
    let result = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WNOHANG) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Event::Nothing),
        _ if libc::WIFSTOPPED(status) => {
            // An event stop carries its event number above the signal; a plain one is a signal on its way.
            let signal = if status >> 16 == 0 { libc::WSTOPSIG(status) } else { 0 };
            Ok(Event::Stopped { signal })
        }
        _ => Ok(Event::Gone),
    }
}

/// Asks, without waiting, whether a tracee has died, and takes note of its end. Any thread of the tracer's process may. That
/// it has stopped is left for its tracer to see: the kernel tells of that whatever was asked for, so this looks first.
pub fn poll_exit(tid: pid_t) -> io::Result<Event> {
    let seen = poll_state(tid, libc::WEXITED | libc::WNOWAIT)?;
    if seen.pid == 0 || !matches!(seen.code, libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED) {
        return Ok(Event::Nothing);
    }
    poll_state(tid, libc::WEXITED).map(|_| Event::Gone)
}

fn poll_stop_only(tid: pid_t) -> io::Result<Event> {
    let State { pid, status, .. } = poll_state(tid, libc::WSTOPPED)?;
    if pid == 0 {
        return Ok(Event::Nothing);
    }
    Ok(Event::Stopped { signal: if status >> 8 == 0 { status } else { 0 } })
}

/// What waitid(2) tells; `pid` is 0 when there is nothing to tell.
struct State {
    pid: pid_t,
    code: c_int,
    status: c_int,
}

/// Asks waitid(2) for `tid`, without blocking, with these flags.
fn poll_state(tid: pid_t, flags: c_int) -> io::Result<State> {
    // SAFETY: siginfo_t is plain data; all zeros is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let id = libc::id_t::try_from(tid).map_err(|_| io::Error::from_raw_os_error(libc::ECHILD))?;
    // SAFETY: `info` is a live siginfo_t.
    if unsafe { libc::waitid(libc::P_PID, id, &raw mut info, flags | libc::WNOHANG | libc::__WALL) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: waitid has filled the child fields, or left the zeros in place.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(State { pid, code: info.si_code, status })
}

/// Makes the calling thread's short pauses as short as they say: by default the kernel stretches each by 50 µs.
pub fn wake_promptly() {
    // SAFETY: PR_SET_TIMERSLACK takes a number and changes only the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Whether a tracee is stopped, seen without waiting for it: the answer when somebody else in this process has taken
/// the wait status.
pub fn probe_stopped(tid: pid_t) -> Option<Event> {
    // SAFETY: siginfo_t is plain data; all zeros is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    request(libc::PTRACE_GETSIGINFO, tid, 0, (&raw mut info) as usize).ok()?;
    let signal = if info.si_code >> 8 == libc::PTRACE_EVENT_STOP { 0 } else { info.si_signo };
    Some(Event::Stopped { signal })
}
