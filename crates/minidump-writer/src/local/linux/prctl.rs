//! What prctl(2) tells and changes about the calling process, each as one safe function.
#![allow(unsafe_code)]

use libc::{c_int, c_ulong, pid_t};
use std::ffi::CStr;

const SIGKILL: c_ulong = libc::SIGKILL as c_ulong;

fn prctl(option: c_int, argument: c_ulong) -> c_int {
    let none: c_ulong = 0;
    // SAFETY: all options below take a plain number.
    unsafe { libc::prctl(option, argument, none, none, none) }
}

/// Has the kernel kill the calling process when the thread that made it ends.
pub fn die_with_parent() -> bool {
    prctl(libc::PR_SET_PDEATHSIG, SIGKILL) == 0
}

/// Whether processes of the same user may trace this one.
pub fn is_dumpable() -> bool {
    prctl(libc::PR_GET_DUMPABLE, 0) == 1
}

/// Keeps the calling process from leaving a core file, and others of the same user from looking into it.
pub fn become_undumpable() {
    prctl(libc::PR_SET_DUMPABLE, 0);
}

/// Lets process `tracer`, or with zero nobody, trace this process under Yama's `ptrace_scope` 1. Replaces what was set
/// before. False where there is no Yama.
pub fn allow_tracer(tracer: pid_t) -> bool {
    c_ulong::try_from(tracer).is_ok_and(|tracer| prctl(libc::PR_SET_PTRACER, tracer) == 0)
}

/// Whether a seccomp filter is on the calling thread.
pub fn is_filtered() -> bool {
    prctl(libc::PR_GET_SECCOMP, 0) > 0
}

/// Names the calling thread; the kernel keeps 15 bytes.
pub fn set_name(name: &CStr) {
    // SAFETY: `name` ends with a zero byte.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Id of the calling thread.
pub fn thread_id() -> Option<u32> {
    // SAFETY: no arguments.
    u32::try_from(unsafe { libc::syscall(libc::SYS_gettid) }).ok()
}
