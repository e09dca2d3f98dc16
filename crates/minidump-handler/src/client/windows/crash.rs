//! What happens in a thread that crashes.

use super::reporter::{self, Crash};
use super::state;
use super::sys;
use crate::windows::event::{Waited, wait};
use std::os::windows::io::AsHandle as _;
use std::sync::atomic::{AtomicU32, Ordering};

/// STATUS_FATAL_APP_EXIT, as which the hooks tell of `abort`.
const ABORT: u32 = 0x4000_0015;
/// STATUS_INVALID_PARAMETER and STATUS_NONCONTINUABLE_EXCEPTION, as which they tell of a call of the C library with an invalid
/// parameter and of a pure virtual function. The C library ends these with `abort`.
const ENDS_IN_ABORT: [u32; 2] = [0xc000_000d, 0xc000_0025];

/// The thread whose crash is reported now; 0 nobody's.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// The last crash that was reported: its thread and its code.
static REPORTED_THREAD: AtomicU32 = AtomicU32::new(0);
static REPORTED_CODE: AtomicU32 = AtomicU32::new(0);

/// Has the crash reported. When this returns, the exception goes where it would have gone without a client.
///
/// Little stack is needed, and nothing but the system is called: no heap, no lock.
pub fn handle(crash: Crash) {
    let Some(state) = state::current() else { return };
    let pointers = std::ptr::with_exposed_provenance(usize::try_from(crash.exception.pointers).unwrap_or(0));
    if state.first_chance.is_some_and(|chance| chance(crash.exception.code, pointers)) {
        return;
    }
    let me = sys::thread_id();
    if is_end_of_what_was_reported(me, crash.exception.code) || state.reporter.is_current(me) {
        return;
    }
    match OWNER.compare_exchange(0, me, Ordering::Acquire, Ordering::Acquire) {
        Ok(_) => {}
        // It crashed while it reported.
        Err(owner) if owner == me => return,
        // That one's crash ends the program for all.
        Err(_) => {
            wait([state.reporter.finished()], Some(reporter::most(state)));
            return;
        }
    }
    match state.reporter.report(crash, reporter::most(state)) {
        Waited::For(0) => {}
        // The reporter has gone: a process that ends has ended its other threads first.
        Waited::For(_) | Waited::Failed => {
            reporter::ask(state, &crash);
        }
        Waited::TooLong => {
            if let Some(fallback) = &state.fallback {
                fallback.give_up_waiting(state.reporter.finished().as_handle());
            }
        }
    }
    REPORTED_CODE.store(crash.exception.code, Ordering::Relaxed);
    REPORTED_THREAD.store(me, Ordering::Release);
    OWNER.store(0, Ordering::Release);
}

/// Whether this is how the C library ends a program after what has been reported already.
fn is_end_of_what_was_reported(thread: u32, code: u32) -> bool {
    code == ABORT
        && REPORTED_THREAD.load(Ordering::Acquire) == thread
        && ENDS_IN_ABORT.contains(&REPORTED_CODE.load(Ordering::Relaxed))
}
