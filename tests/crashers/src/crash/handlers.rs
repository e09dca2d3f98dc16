//! Programs with signal handlers of their own.

use super::{Kind, Setting::Parked, faults};
use crate::sys;
use libc::{PROT_NONE, PROT_READ, PROT_WRITE, c_int, c_void, siginfo_t};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Faults that [`handles_own_segv`] mends.
const MENDED: u64 = 1000;
const PAGE: usize = 4096;

pub const KINDS: &[Kind] = &[
    ("in-handler", Parked, in_handler),
    ("in-own-handler", Parked, in_own_handler),
    ("handler-gives-up", Parked, handler_gives_up),
    ("handler-reset", Parked, handler_reset),
    ("handles-own-segv", Parked, handles_own_segv),
    ("mends-then-dies", Parked, crash_here_mends_then_dies),
];

/// Crashes in the handler of another signal.
fn in_handler() {
    install(libc::SIGUSR1, crash_here_in_handler);
    // SAFETY: raise touches no memory of ours.
    unsafe { libc::raise(libc::SIGUSR1) };
}

extern "C" fn crash_here_in_handler(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
    faults::null();
    black_box(());
}

/// Crashes in its own handler of crashes, while that signal is blocked.
fn in_own_handler() {
    install(libc::SIGSEGV, crash_here_in_own_handler);
    faults::read(16);
}

extern "C" fn crash_here_in_own_handler(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
    faults::null();
    black_box(());
}

/// Its handler cannot help, takes itself away and lets the fault happen again.
fn handler_gives_up() {
    install(libc::SIGSEGV, give_up);
    crash_here_handler_gives_up();
}

extern "C" fn give_up(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: SIG_DFL is no function.
    unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
}

#[inline(never)]
fn crash_here_handler_gives_up() {
    faults::null();
}

/// Somebody takes the handler of crashes away again.
fn handler_reset() {
    install(libc::SIGSEGV, mend);
    // SAFETY: SIG_DFL is no function.
    unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
    crash_here_handler_reset();
}

#[inline(never)]
fn crash_here_handler_reset() {
    faults::null();
}

/// The page whose rights [`mend`] restores.
static PROTECTED: AtomicUsize = AtomicUsize::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Lives with faults, as runtimes of managed languages do: no crash. Exits with 0.
fn handles_own_segv() {
    mend_faults();
    sys::exit_now(0);
}

/// Mends faults, then has one that it cannot mend, and dies of it.
#[inline(never)]
fn crash_here_mends_then_dies() {
    mend_faults();
    faults::null();
}

fn mend_faults() {
    let page = sys::map_anonymous(PAGE, PROT_NONE);
    PROTECTED.store(page, Ordering::Release);
    install(libc::SIGSEGV, mend);
    for _ in 0..MENDED {
        // SAFETY: nobody but the load below uses the page, and its fault is mended.
        unsafe { sys::protect(page, PAGE, PROT_NONE) };
        faults::read(page as u64);
    }
    assert_eq!(FAULTS.load(Ordering::Acquire), MENDED, "every fault came to the handler");
}

/// Makes the page readable; of any other address it takes itself away, so that the fault happens again and kills.
extern "C" fn mend(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    let page = PROTECTED.load(Ordering::Acquire);
    // SAFETY: the kernel passes the signal's information, of a fault, to a handler with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() } as usize;
    if address / PAGE == page / PAGE {
        FAULTS.fetch_add(1, Ordering::AcqRel);
        // SAFETY: the page is ours; more rights disturb nobody.
        unsafe { sys::protect(page, PAGE, PROT_READ | PROT_WRITE) };
    } else {
        give_up(0, info, std::ptr::null_mut());
    }
}

fn install(signal: c_int, handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void)) {
    // SAFETY: all-zero is a valid sigaction; the handlers of this file touch atomics and the kernel only.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        sys::check("sigaction", libc::sigaction(signal, &raw const action, std::ptr::null_mut()));
    }
}
