//! Programs with signal handlers of their own.

use super::{
    Kind,
    Setting::{Alone, Parked},
    faults,
};
use crate::sys;
use libc::{PROT_NONE, PROT_READ, PROT_WRITE, c_int, c_void, siginfo_t};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Faults that [`handles_own_segv`] mends.
const MENDED: u64 = 1000;
const PAGE: usize = 4096;
/// Of the stacks of [`on_own_stacks`], in bytes.
const STACK: usize = 256 * 1024;

pub const KINDS: &[Kind] = &[
    ("in-handler", Parked, in_handler),
    ("in-own-handler", Parked, in_own_handler),
    ("handler-gives-up", Parked, handler_gives_up),
    ("handler-reset", Parked, handler_reset),
    ("handles-own-segv", Parked, handles_own_segv),
    ("mends-then-dies", Parked, crash_here_mends_then_dies),
    ("signal-stack-above", Alone, || on_own_stacks([0, 3 * STACK])),
    ("signal-stack-below", Alone, || on_own_stacks([3 * STACK, 0])),
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

/// A thread on a stack of its own has a fault, whose handler aborts on another stack. Both lie in one area, at these
/// places.
fn on_own_stacks([stack, signal_stack]: [usize; 2]) {
    let area = sys::map_anonymous(4 * STACK, PROT_NONE);
    for at in [stack, signal_stack] {
        // SAFETY: nobody uses the area yet.
        unsafe { sys::protect(area + at, STACK, PROT_READ | PROT_WRITE) };
    }
    install_with(libc::SA_ONSTACK, libc::SIGSEGV, abort);
    // SAFETY: the stack is readable and writable, used by this thread alone and never unmapped; all-zero attributes are
    // initialised before they are used, and the thread is given an address that stays what it is.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        let mut thread: libc::pthread_t = 0;
        let argument = (area + signal_stack) as *mut c_void;
        assert_eq!(libc::pthread_attr_init(&raw mut attributes), 0);
        assert_eq!(libc::pthread_attr_setstack(&raw mut attributes, (area + stack) as *mut c_void, STACK), 0);
        assert_eq!(
            libc::pthread_create(&raw mut thread, &raw const attributes, with_signal_stack, argument),
            0
        );
        libc::pthread_join(thread, std::ptr::null_mut());
    }
}

extern "C" fn with_signal_stack(stack: *mut c_void) -> *mut c_void {
    let stack = libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: STACK };
    // SAFETY: the memory is there for this thread alone, and stays.
    unsafe { assert_eq!(libc::sigaltstack(&raw const stack, std::ptr::null_mut()), 0) };
    crash_here_on_own_stack();
    std::ptr::null_mut()
}

#[inline(never)]
fn crash_here_on_own_stack() {
    faults::null();
    black_box(());
}

extern "C" fn abort(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: ends the process.
    unsafe { libc::abort() };
}

/// A handler of signals.
type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

fn install(signal: c_int, handler: Handler) {
    install_with(0, signal, handler);
}

fn install_with(flags: c_int, signal: c_int, handler: Handler) {
    // SAFETY: all-zero is a valid sigaction; the handlers of this file touch atomics and the kernel only.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | flags;
        sys::check("sigaction", libc::sigaction(signal, &raw const action, std::ptr::null_mut()));
    }
}
