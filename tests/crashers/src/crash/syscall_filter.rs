//! Programs under a seccomp filter.

use super::{Kind, Setting::Parked, faults, here};
use crate::sys;
use libc::{c_long, sock_filter, sock_fprog};
use std::hint::black_box;
use std::io;

// Classic BPF, <linux/bpf_common.h>: load a word at an absolute offset; jump if equal to a constant; return one.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// What a crash handler inside the process would like to call.
const OF_HANDLERS: [c_long; 11] = [
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
];

pub const KINDS: &[Kind] = &[
    ("sigsys-trap", Parked, crash_here_sigsys_trap),
    ("sigsys-kill", Parked, crash_here_sigsys_kill),
    ("calls-forbidden", Parked, crash_here_calls_forbidden),
];

/// A call that raises SIGSYS.
#[inline(never)]
fn crash_here_sigsys_trap() {
    here().print();
    filter(&[libc::SYS_getppid], libc::SECCOMP_RET_TRAP);
    // SAFETY: getppid has no arguments.
    black_box(unsafe { libc::getppid() });
}

/// A call that kills the process past all signal handling.
#[inline(never)]
fn crash_here_sigsys_kill() {
    here().print();
    filter(&[libc::SYS_getppid], libc::SECCOMP_RET_KILL_PROCESS);
    // SAFETY: getppid has no arguments.
    black_box(unsafe { libc::getppid() });
}

/// Crashes where the calls that a handler inside the process needs fail with EPERM.
#[inline(never)]
fn crash_here_calls_forbidden() {
    filter(&OF_HANDLERS, libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs());
    // SAFETY: the path is a C string.
    let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) };
    assert_eq!(opened, -1, "the filter forbids open");
    faults::null();
}

/// Has `verdict` answer `calls` in all threads from now on.
fn filter(calls: &[c_long], verdict: u32) {
    let count = u8::try_from(calls.len()).expect("a jump reaches over the list");
    let mut program = vec![sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 }];
    for (call, index) in calls.iter().zip(0u8..) {
        let k = u32::try_from(*call).expect("numbers of calls are small");
        program.push(sock_filter { code: JUMP_IF_EQUAL, jt: count - index, jf: 0, k });
    }
    program.push(sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW });
    program.push(sock_filter { code: RETURN, jt: 0, jf: 0, k: verdict });
    let length = program.len().try_into().expect("the program is short");
    let program = sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: the calls take numbers and a program that outlives them.
    let result = unsafe {
        sys::check("prctl", libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        let flags = libc::SECCOMP_FILTER_FLAG_TSYNC;
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    assert_eq!(result, 0, "seccomp: {}", io::Error::last_os_error());
}
