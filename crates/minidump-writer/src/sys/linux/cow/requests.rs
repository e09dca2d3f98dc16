//! The ptrace requests that borrowing a thread takes, each as one safe function.
//!
//! As those of the parent module, all of them act on a stopped tracee of the calling thread and fail with ESRCH for
//! anything else. Source: ptrace(2), include/uapi/linux/ptrace.h.
#![allow(unsafe_code)]

use super::super::ptrace;
use libc::{c_int, c_long, c_void, pid_t};
use std::io;
use std::mem::size_of;

/// Length of the general register set, in bytes.
pub const REGISTERS: usize = size_of::<libc::user_regs_struct>();
/// Length of the kernel's signal set, in bytes: 64 signals.
const SIGNAL_SET: usize = 8;

/// <elf.h>
const NT_PRSTATUS: usize = 1;
const NT_PRFPREG: usize = 2;
const NT_X86_XSTATE: usize = 0x202;
/// Above all XSAVE areas so far; the largest component, of 8 KiB, is that of AMX.
const MOST_VECTOR_REGISTERS: usize = 16 << 10;
const PTRACE_GETSIGMASK: libc::c_uint = 0x420a;
const PTRACE_SETSIGMASK: libc::c_uint = 0x420b;
/// Linux 5.13.
const PTRACE_GET_RSEQ_CONFIGURATION: libc::c_uint = 0x420f;
/// Linux 6.4.
const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: libc::c_uint = 0x4211;

/// How a stopped tracee is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Until something happens to it.
    Freely,
    /// Until it enters or leaves a system call.
    ToSystemCall,
}

/// Why a tracee stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// At the entry or at the exit of a system call.
    SystemCall,
    /// PTRACE_EVENT_CLONE: inside a system call that has made another task.
    Cloned,
    /// PTRACE_EVENT_STOP: interrupted, just born, or in a group stop. Nothing is on its way to it.
    Trap,
    /// It is about to be given this signal.
    Signal(c_int),
}

/// `struct ptrace_rseq_configuration`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RseqConfiguration {
    /// Address of the thread's `struct rseq`; zero when it has none.
    pub area: u64,
    /// Size that was registered, in bytes.
    pub size: u32,
    /// What must stand in front of every abort handler.
    pub signature: u32,
    flags: u32,
    pad: u32,
}

/// `struct ptrace_sud_config`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct DispatchConfiguration {
    mode: u64,
    selector: u64,
    offset: u64,
    length: u64,
}

fn request(request: impl Into<c_long>, tid: pid_t, address: usize, data: usize) -> io::Result<c_long> {
    // SAFETY: callers pass, for `data`, either a plain number or the address of a live buffer of the size that the
    // request reads or writes; the kernel checks all else and writes nothing on failure.
    let result = unsafe { libc::syscall(libc::SYS_ptrace, request.into(), c_long::from(tid), address, data) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Sets PTRACE_O_* `options`, replacing those there were. Tasks that the tracee makes inherit them.
pub fn set_options(tid: pid_t, options: c_int) -> io::Result<()> {
    request(libc::PTRACE_SETOPTIONS, tid, 0, usize::try_from(options).unwrap_or(0)).map(drop)
}

/// Lets a tracee go on, with `signal`. Only a tracee that was about to be given a signal heeds it.
pub fn resume(tid: pid_t, how: Resume, signal: c_int) -> io::Result<()> {
    let how = match how {
        Resume::Freely => libc::PTRACE_CONT,
        Resume::ToSystemCall => libc::PTRACE_SYSCALL,
    };
    request(how, tid, 0, usize::try_from(signal).unwrap_or(0)).map(drop)
}

/// The general registers, as `struct user_regs_struct`. Fails with EINVAL for a thread in 32-bit code, whose register
/// set is another.
pub fn registers(tid: pid_t) -> io::Result<[u8; REGISTERS]> {
    let mut buffer = [0; REGISTERS];
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast::<c_void>(), iov_len: REGISTERS };
    request(libc::PTRACE_GETREGSET, tid, NT_PRSTATUS, (&raw mut vector) as usize)?;
    if vector.iov_len == REGISTERS { Ok(buffer) } else { Err(io::Error::from_raw_os_error(libc::EINVAL)) }
}

/// Sets the general registers.
pub fn set_registers(tid: pid_t, registers: &[u8; REGISTERS]) -> io::Result<()> {
    // The kernel only reads what PTRACE_SETREGSET points to.
    let iov_base = registers.as_ptr().cast_mut().cast::<c_void>();
    let mut vector = libc::iovec { iov_base, iov_len: REGISTERS };
    request(libc::PTRACE_SETREGSET, tid, NT_PRSTATUS, (&raw mut vector) as usize).map(drop)
}

/// The signals that are blocked; for a thread inside a system call that lasts under a mask of its own (sigsuspend,
/// ppoll …), those that will be blocked again after it.
pub fn signal_mask(tid: pid_t) -> io::Result<u64> {
    let mut mask = 0_u64;
    request(PTRACE_GETSIGMASK, tid, SIGNAL_SET, (&raw mut mask) as usize)?;
    Ok(mask)
}

/// Sets the blocked signals. SIGKILL and SIGSTOP cannot be.
pub fn set_signal_mask(tid: pid_t, mask: u64) -> io::Result<()> {
    request(PTRACE_SETSIGMASK, tid, SIGNAL_SET, (&raw const mask) as usize).map(drop)
}

/// Id of the task that a tracee at [`Stop::Cloned`] has made, as the calling process sees it.
pub fn cloned_task(tid: pid_t) -> io::Result<pid_t> {
    let mut message: libc::c_ulong = 0;
    request(libc::PTRACE_GETEVENTMSG, tid, 0, (&raw mut message) as usize)?;
    pid_t::try_from(message).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))
}

/// Where the thread's `struct rseq` is. Fails on kernels before 5.13.
pub fn rseq(tid: pid_t) -> io::Result<RseqConfiguration> {
    let mut found = RseqConfiguration::default();
    let size = size_of::<RseqConfiguration>();
    request(PTRACE_GET_RSEQ_CONFIGURATION, tid, size, (&raw mut found) as usize)?;
    Ok(found)
}

/// Whether the thread has its system calls turned into signals (PR_SET_SYSCALL_USER_DISPATCH). Fails on kernels before
/// 6.4.
pub fn dispatches_system_calls(tid: pid_t) -> io::Result<bool> {
    let mut found = DispatchConfiguration::default();
    let size = size_of::<DispatchConfiguration>();
    request(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, size, (&raw mut found) as usize)?;
    Ok(found.mode != 0)
}

/// The vector and floating-point registers in the format of XSAVE, or of FXSAVE on processors without it.
pub fn vector_registers(tid: pid_t) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; MOST_VECTOR_REGISTERS];
    let length = ptrace::register_set(tid, NT_X86_XSTATE, &mut buffer)
        .or_else(|_| ptrace::register_set(tid, NT_PRFPREG, &mut buffer))?;
    buffer.truncate(length);
    Ok(buffer)
}

/// Writes to the memory of a thread, where the thread itself may.
pub fn write_memory(tid: pid_t, address: u64, bytes: &[u8]) -> io::Result<()> {
    let place = usize::try_from(address).map_err(|_| io::Error::from_raw_os_error(libc::EFAULT))?;
    // The kernel only reads what the local vector points to.
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(place), iov_len: bytes.len() };
    // SAFETY: the local vector is a live buffer; the remote one is an address in another process, which the kernel
    // checks.
    let written = unsafe { libc::process_vm_writev(tid, &raw const local, 1, &raw const remote, 1, 0) };
    match usize::try_from(written) {
        Ok(written) if written == bytes.len() => Ok(()),
        Ok(_) => Err(io::Error::from_raw_os_error(libc::EFAULT)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Asks, without waiting, whether a tracee has come to a stop. Its exit is left for others to take.
pub fn poll_stop(tid: pid_t) -> io::Result<Option<Stop>> {
    // SAFETY: siginfo_t is plain data; all zeros is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let id = libc::id_t::try_from(tid).map_err(|_| io::Error::from_raw_os_error(libc::ECHILD))?;
    let flags = libc::WSTOPPED | libc::WNOHANG | libc::__WALL;
    // SAFETY: `info` is a live siginfo_t.
    if unsafe { libc::waitid(libc::P_PID, id, &raw mut info, flags) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: waitid has filled the child fields, or left the zeros in place.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok((pid != 0).then(|| classify(status)))
}

/// Whether a tracee stands, seen without waiting for it: the answer when somebody else in this process has taken the
/// wait status.
pub fn probe_stop(tid: pid_t) -> Option<Stop> {
    // SAFETY: siginfo_t is plain data; all zeros is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    request(libc::PTRACE_GETSIGINFO, tid, 0, (&raw mut info) as usize).ok()?;
    // The kernel itself makes the siginfo of all stops but those on a signal; its code is the status then.
    Some(match classify(info.si_code) {
        Stop::Signal(_) => Stop::Signal(info.si_signo),
        stop => stop,
    })
}

/// What a wait status without its lowest byte (0x7f) says: a signal, and above it a number of an event. The system
/// calls' bit 0x80 comes of PTRACE_O_TRACESYSGOOD.
fn classify(status: c_int) -> Stop {
    match (status >> 8, status & 0xff) {
        (libc::PTRACE_EVENT_STOP, _) => Stop::Trap,
        (libc::PTRACE_EVENT_CLONE, libc::SIGTRAP) => Stop::Cloned,
        (0, signal) if signal == libc::SIGTRAP | 0x80 => Stop::SystemCall,
        (_, signal) => Stop::Signal(signal),
    }
}

/// Kills a task that cannot have been reaped, because its parent stands still.
pub fn kill_unreaped(tid: pid_t) {
    // SAFETY: kill takes two numbers.
    unsafe { libc::kill(tid, libc::SIGKILL) };
}

/// Kills a task that stands as a tracee of the calling thread. Nothing happens to any other: an id that was given to
/// another process meanwhile is not stopped for us.
pub fn kill(tid: pid_t) {
    if probe_stop(tid).is_some() {
        // SAFETY: kill takes two numbers.
        unsafe { libc::kill(tid, libc::SIGKILL) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_told_apart_by_their_status() {
        assert_eq!(classify(libc::SIGTRAP | 0x80), Stop::SystemCall);
        assert_eq!(classify(libc::SIGTRAP | libc::PTRACE_EVENT_CLONE << 8), Stop::Cloned);
        assert_eq!(classify(libc::SIGTRAP | libc::PTRACE_EVENT_STOP << 8), Stop::Trap);
        assert_eq!(classify(libc::SIGSTOP | libc::PTRACE_EVENT_STOP << 8), Stop::Trap);
        assert_eq!(classify(libc::SIGUSR1), Stop::Signal(libc::SIGUSR1));
        assert_eq!(classify(libc::SIGTRAP), Stop::Signal(libc::SIGTRAP));
    }

    #[test]
    fn requests_fail_for_what_is_no_tracee() {
        let own = pid_t::try_from(std::process::id()).unwrap();
        let esrch = |error: io::Error| error.raw_os_error() == Some(libc::ESRCH);
        assert!(registers(own).is_err_and(esrch));
        assert!(signal_mask(own).is_err_and(esrch));
        assert!(resume(own, Resume::Freely, 0).is_err_and(esrch));
        assert!(probe_stop(own).is_none());
        kill(own);
    }
}
