//! Programs that have given up rights.

use super::{Kind, Setting::Parked, faults};
use crate::sys;
use libc::c_ulong;
use std::ffi::CStr;

/// The user and the group `nobody`.
const NOBODY: u32 = 65534;
/// A directory that every system has and that holds no program and no library.
const CELL: &CStr = c"/sys/kernel";

pub const KINDS: &[Kind] = &[
    ("chroot", Parked, crash_here_chroot),
    ("setuid", Parked, crash_here_setuid),
    ("non-dumpable", Parked, crash_here_non_dumpable),
];

/// Locks itself up. Needs root.
#[inline(never)]
fn crash_here_chroot() {
    // SAFETY: the paths are C strings.
    unsafe {
        sys::check("chroot", libc::chroot(CELL.as_ptr()));
        sys::check("chdir", libc::chdir(c"/".as_ptr()));
    }
    faults::null();
}

/// Becomes another user, for which the kernel makes it non-dumpable. Needs root.
#[inline(never)]
fn crash_here_setuid() {
    // SAFETY: the calls take numbers.
    unsafe {
        sys::check("setresgid", libc::setresgid(NOBODY, NOBODY, NOBODY));
        sys::check("setresuid", libc::setresuid(NOBODY, NOBODY, NOBODY));
    }
    // The C library has every thread change its user in a signal handler, on the alternate stack.
    while others().any(|state| state != Some('S')) {
        std::thread::yield_now();
    }
    faults::null();
}

/// The states of the other threads (proc_pid_stat(5)).
fn others() -> impl Iterator<Item = Option<char>> {
    let own = sys::thread_id().to_string();
    let tasks = std::fs::read_dir("/proc/self/task").expect("there is /proc").map_while(Result::ok);
    tasks.filter(move |task| task.file_name() != own.as_str()).map(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        stat.rsplit(')').next()?.trim_start().chars().next()
    })
}

#[inline(never)]
fn crash_here_non_dumpable() {
    let not_dumpable: c_ulong = 0;
    // SAFETY: PR_SET_DUMPABLE takes a number.
    sys::check("prctl", unsafe { libc::prctl(libc::PR_SET_DUMPABLE, not_dumpable, 0, 0, 0) });
    faults::null();
}
