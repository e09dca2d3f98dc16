//! Signals that the program or the kernel sends.

use super::{Kind, Setting::Parked, faults, here};
use crate::sys;
use std::ffi::c_int;
use std::hint::black_box;

pub const KINDS: &[Kind] = &[
    ("abort", Parked, crash_here_abort),
    ("sigquit", Parked, crash_here_sigquit),
    ("sigxcpu", Parked, crash_here_sigxcpu),
    ("cpu-limit", Parked, crash_here_cpu_limit),
    ("sigxfsz", Parked, crash_here_sigxfsz),
    ("signals-blocked", Parked, crash_here_signals_blocked),
    ("abort-blocked", Parked, crash_here_abort_blocked),
    ("panic", Parked, crash_here_panic),
];

#[inline(never)]
fn crash_here_abort() {
    here().print();
    // SAFETY: abort touches no memory of ours.
    unsafe { libc::abort() };
}

#[inline(never)]
fn crash_here_sigquit() {
    here().print();
    raise(libc::SIGQUIT);
    black_box(());
}

#[inline(never)]
fn crash_here_sigxcpu() {
    here().print();
    raise(libc::SIGXCPU);
    black_box(());
}

/// Computes for longer than RLIMIT_CPU allows. The limit counts whole seconds, and the signal goes to the process: the
/// kernel gives it to the main thread where that takes it.
#[inline(never)]
fn crash_here_cpu_limit() {
    let mut used = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    here().print();
    // SAFETY: getrusage fills the structure, for which all-zero is valid too; the limit outlives the call.
    unsafe {
        sys::check("getrusage", libc::getrusage(libc::RUSAGE_SELF, used.as_mut_ptr()));
        let seconds = used.assume_init().ru_utime.tv_sec.unsigned_abs() + 1;
        let limit = libc::rlimit { rlim_cur: seconds, rlim_max: seconds + 60 };
        sys::check("setrlimit", libc::setrlimit(libc::RLIMIT_CPU, &raw const limit));
    }
    while black_box(true) {}
}

/// Writes more than RLIMIT_FSIZE allows.
#[inline(never)]
fn crash_here_sigxfsz() {
    // SAFETY: the name is a C string.
    let file = sys::check("memfd_create", unsafe { libc::memfd_create(c"limited".as_ptr(), 0) });
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    here().print();
    // SAFETY: the limit outlives the call; one byte is written from a literal.
    unsafe {
        sys::check("setrlimit", libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit));
        libc::write(file, b"x".as_ptr().cast(), 1);
    }
}

/// Faults where every signal is blocked.
#[inline(never)]
fn crash_here_signals_blocked() {
    block_all();
    faults::null();
}

/// Aborts where every signal is blocked.
#[inline(never)]
fn crash_here_abort_blocked() {
    block_all();
    here().print();
    // SAFETY: abort touches no memory of ours.
    unsafe { libc::abort() };
}

/// Panics where unwinding is not possible: an `extern "C"` function is left by none.
#[inline(never)]
extern "C" fn panics_across() {
    #[expect(clippy::manual_assert, reason = "it is the panic that is wanted")]
    if black_box(true) {
        panic!("a panic that must not unwind");
    }
}

#[inline(never)]
fn crash_here_panic() {
    here().print();
    panics_across();
    black_box(());
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it shall happen in the function that is named for it")]
fn raise(signal: c_int) {
    // SAFETY: raise touches no memory of ours.
    unsafe { libc::raise(signal) };
}

fn block_all() {
    // SAFETY: all-zero is a valid set, and the set outlives the calls.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}
