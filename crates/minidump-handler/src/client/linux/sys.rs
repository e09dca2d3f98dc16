//! The system calls of the crash path. Each is one that a signal handler may make (signal-safety(7)); none allocates, and
//! none changes what the caller sees but by its result.
#![expect(unsafe_code, reason = "system calls")]

use libc::{c_int, c_void, pid_t};
use std::mem::zeroed;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::ptr;
use std::time::Duration;

/// The error number of the last call that failed.
pub fn errno() -> c_int {
    // SAFETY: the address is that of this thread's own variable.
    unsafe { *libc::__errno_location() }
}

/// Puts back what a signal handler found.
pub fn set_errno(value: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = value }
}

pub fn process_id() -> pid_t {
    // SAFETY: it touches nothing.
    unsafe { libc::getpid() }
}

pub fn thread_id() -> pid_t {
    // SAFETY: it touches nothing. The number of a thread fits its type.
    #[expect(clippy::cast_possible_truncation, reason = "the kernel's pid_t is an int")]
    unsafe {
        libc::syscall(libc::SYS_gettid) as pid_t
    }
}

/// Whether the thread exists, as far as this process may know.
pub fn is_alive(pid: pid_t, tid: pid_t) -> bool {
    // SAFETY: signal 0 is none.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, 0) };
    answer == 0 || errno() != libc::ESRCH
}

/// Milliseconds of a clock that only goes forward.
pub fn now_ms() -> u64 {
    let time = clock(libc::CLOCK_MONOTONIC);
    seconds(&time).saturating_mul(1000).saturating_add(nanoseconds(&time) / 1_000_000)
}

/// Microseconds since 1970.
pub fn now_us() -> u64 {
    let time = clock(libc::CLOCK_REALTIME);
    seconds(&time).saturating_mul(1_000_000).saturating_add(nanoseconds(&time) / 1000)
}

/// A number that another crash at the same time has hardly.
pub fn some_number() -> u32 {
    let time = clock(libc::CLOCK_MONOTONIC);
    let mixed = nanoseconds(&time).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seconds(&time).rotate_left(17);
    let mixed = mixed ^ u64::from(thread_id().unsigned_abs()).wrapping_mul(0x85eb_ca6b);
    u32::try_from(mixed >> 32).unwrap_or(0)
}

fn clock(which: libc::clockid_t) -> libc::timespec {
    // SAFETY: all zeros are a time; the call writes one there.
    unsafe {
        let mut time: libc::timespec = zeroed();
        libc::clock_gettime(which, &raw mut time);
        time
    }
}

fn seconds(time: &libc::timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0)
}

fn nanoseconds(time: &libc::timespec) -> u64 {
    u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Waits, at most so many milliseconds.
pub fn pause(milliseconds: i32) {
    // SAFETY: no descriptors are given.
    unsafe { libc::poll(ptr::null_mut(), 0, milliseconds) };
}

/// Whether `events` (`POLLIN`, `POLLOUT`) came, or the other side went, within so many milliseconds.
pub fn wait_for(fd: c_int, events: i16, milliseconds: i32) -> bool {
    let mut looked = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one descriptor, whose description outlives the call.
    unsafe { libc::poll(&raw mut looked, 1, milliseconds) > 0 }
}

/// Two ends of a connection of datagrams that pass credentials; none is inherited by programs.
pub fn pair() -> Option<[c_int; 2]> {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the call writes two descriptors there.
    (unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) } == 0).then_some(ends)
}

/// Has the kernel tell whoever reads at this end who wrote.
pub fn pass_credentials(fd: c_int) -> bool {
    let on: c_int = 1;
    #[expect(clippy::cast_possible_truncation, reason = "four")]
    let size = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the option is an int, whose size is told.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_PASSCRED, (&raw const on).cast(), size) == 0 }
}

pub fn close(fd: c_int) {
    // SAFETY: the caller's descriptor, which it does not use again.
    unsafe { libc::close(fd) };
}

/// Space of a control message with one descriptor, aligned as the kernel wants it.
#[repr(C, align(8))]
struct OneDescriptor([u8; 24]);

/// Sends a datagram and, with it, a descriptor, without waiting. `Err` is the error number.
pub fn send(socket: c_int, message: &[u8], passed: c_int) -> Result<(), c_int> {
    let mut part = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
    let mut space = OneDescriptor([0; 24]);
    // SAFETY: all zeros are a message without anything. Its parts are set to memory that outlives the call: `part`, of
    // which the kernel only reads, and `space`, which has room for one descriptor (CMSG_SPACE(4) is 24).
    let sent = unsafe {
        let mut header: libc::msghdr = zeroed();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut space).cast();
        header.msg_controllen = 24;
        let control = libc::CMSG_FIRSTHDR(&raw const header);
        (*control).cmsg_level = libc::SOL_SOCKET;
        (*control).cmsg_type = libc::SCM_RIGHTS;
        (*control).cmsg_len = libc::CMSG_LEN(4) as _;
        ptr::write_unaligned(libc::CMSG_DATA(control).cast::<c_int>(), passed);
        libc::sendmsg(socket, &raw const header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    };
    if sent >= 0 { Ok(()) } else { Err(errno()) }
}

/// A datagram that is there already. `None` when there is none; an empty one when the other side has gone.
pub fn receive(socket: c_int, buffer: &mut [u8]) -> Option<&[u8]> {
    // SAFETY: the buffer has the length that is told.
    let got =
        unsafe { libc::recv(socket, buffer.as_mut_ptr().cast::<c_void>(), buffer.len(), libc::MSG_DONTWAIT) };
    match usize::try_from(got) {
        Ok(length) => buffer.get(..length),
        Err(_) if errno() == libc::ECONNRESET => Some(&[]),
        Err(_) => None,
    }
}

/// Lets a process trace this one although its owner, or Yama, would not. Returns whether it was dumpable before.
pub fn allow_tracing(tracer: pid_t, ask_yama: bool) -> bool {
    // SAFETY: these options take numbers.
    unsafe {
        let dumpable = libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
        if !dumpable {
            libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
        }
        if ask_yama {
            let who = if tracer > 0 { u64::from(tracer.unsigned_abs()) } else { u64::MAX };
            libc::prctl(libc::PR_SET_PTRACER, who, 0, 0, 0);
        }
        dumpable
    }
}

/// Takes back what [`allow_tracing`] allowed.
pub fn disallow_tracing(was_dumpable: bool, ask_yama: bool) {
    // SAFETY: as above.
    unsafe {
        if ask_yama {
            libc::prctl(libc::PR_SET_PTRACER, 0, 0, 0, 0);
        }
        if !was_dumpable {
            libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        }
    }
}

/// Calls `function` on another stack, of which `top` is the end.
///
/// # Safety
/// Nobody else may use the stack meanwhile, and what lies below `top` must be enough for the function, which must not
/// unwind.
pub unsafe fn call_on(top: *mut u8, function: extern "C" fn(*mut c_void), argument: *mut c_void) {
    let top = top.map_addr(|address| address & !15);
    // SAFETY: r12 is kept by the function (System V ABI §3.2.1), so that it brings back the stack pointer. The stack is
    // aligned to 16 bytes before the call. Everything else that a function may change is told.
    unsafe {
        std::arch::asm!(
            "xchg rsp, r12",
            "call {function}",
            "mov rsp, r12",
            function = in(reg) function,
            inout("r12") top => _,
            in("rdi") argument,
            clobber_abi("C"),
        );
    }
}

/// Which of the descriptors, of which negative ones are none, can be read or have ended within the time.
pub fn wait_for_any(fds: [c_int; 3], timeout: Duration) -> [bool; 3] {
    let mut looked = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let milliseconds = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: three descriptions, which outlive the call.
    if unsafe { libc::poll(looked.as_mut_ptr(), 3, milliseconds) } <= 0 {
        return [false; 3];
    }
    looked.map(|looked| looked.revents != 0)
}

/// A descriptor of a process, which can be read when it has ended; `None` when there is none, or the kernel is older
/// than 5.3.
pub fn open_process(pid: pid_t) -> Option<OwnedFd> {
    // SAFETY: a new descriptor, which is ours.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        let fd = c_int::try_from(fd).ok().filter(|fd| *fd >= 0)?;
        Some(OwnedFd::from_raw_fd(fd))
    }
}

/// Blocks all signals in the calling thread. Returns what was blocked before.
pub fn block_all_signals() -> libc::sigset_t {
    // SAFETY: all zeros are a set, and the calls write sets of this thread.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (zeroed(), zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
        before
    }
}

/// Blocks all signals but faults in the calling thread. Returns what was blocked before.
pub fn block_signals() -> libc::sigset_t {
    // SAFETY: all zeros are a set, and the calls write sets of this thread.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (zeroed(), zeroed());
        libc::sigfillset(&raw mut all);
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGABRT] {
            libc::sigdelset(&raw mut all, fault);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
        before
    }
}

/// Puts back what [`block_signals`] found.
pub fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: a set that was in force.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_travels_with_its_message() {
        let [here, there] = pair().unwrap();
        let [mine, theirs] = pair().unwrap();
        assert_eq!(send(here, b"hello", theirs), Ok(()));
        let mut buffer = [0; 16];
        assert_eq!(receive(there, &mut buffer), Some(b"hello".as_slice()));
        assert_eq!(receive(there, &mut [0; 16]), None);
        [here, there, mine, theirs].into_iter().for_each(close);
    }

    #[test]
    fn the_end_of_the_other_side_is_an_empty_message() {
        let [here, there] = pair().unwrap();
        close(there);
        assert!(wait_for(here, libc::POLLIN, 0));
        assert_eq!(receive(here, &mut [0; 16]), Some([].as_slice()));
        assert_eq!(send(here, b"x", here), Err(libc::EPIPE));
        close(here);
    }

    #[test]
    fn a_function_runs_on_the_stack_that_it_is_given() {
        extern "C" fn look(argument: *mut c_void) {
            let mut here = 0_u8;
            // SAFETY: the test's own variable.
            unsafe { *argument.cast::<usize>() = (&raw mut here).addr() };
        }
        let mut stack = vec![0_u8; 16 << 10];
        let mut seen = 0_usize;
        // SAFETY: the stack is ours, and the function needs little.
        unsafe { call_on(stack.as_mut_ptr().add(stack.len()), look, (&raw mut seen).cast()) };
        assert!(stack.as_ptr_range().contains(&ptr::without_provenance(seen)), "{seen:#x}");
    }
}
