//! One crash at a time.

use super::sys;
use libc::pid_t;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How long a thread waits for another that crashed before it. Then it is as if that one had never been.
const PATIENCE_MS: u64 = 60_000;

/// Who reports a crash: process in the high half, thread in the low one; 0 nobody.
static OWNER: AtomicU64 = AtomicU64::new(0);
/// How often the owner has crashed while it reported.
static FAULTS: AtomicU32 = AtomicU32::new(0);
/// The process that will die of the crash that has been reported. In a child of vfork(2), which has this memory, too,
/// it is another.
static DYING: AtomicU64 = AtomicU64::new(0);

/// Whether this thread may report its crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It may.
    Mine,
    /// It was at it when it crashed; the number tells for how many times.
    Again(u32),
    /// Another thread's crash has been reported, and will end the process.
    TooLate,
}

fn identity(pid: pid_t, tid: pid_t) -> u64 {
    u64::from(pid.unsigned_abs()) << 32 | u64::from(tid.unsigned_abs())
}

/// Waits for the turn of this thread.
pub fn take(pid: pid_t, tid: pid_t) -> Turn {
    let me = identity(pid, tid);
    let until = sys::now_ms().saturating_add(PATIENCE_MS);
    loop {
        let Err(owner) = OWNER.compare_exchange(0, me, Ordering::Acquire, Ordering::Acquire) else {
            if DYING.load(Ordering::Acquire) == u64::from(pid.unsigned_abs()) {
                OWNER.store(0, Ordering::Release);
                return Turn::TooLate;
            }
            FAULTS.store(0, Ordering::Relaxed);
            return Turn::Mine;
        };
        if owner == me {
            return Turn::Again(FAULTS.fetch_add(1, Ordering::Relaxed).saturating_add(1));
        }
        let half = |bits: u64| pid_t::try_from(bits & 0xffff_ffff).unwrap_or(0);
        if sys::now_ms() > until || !sys::is_alive(half(owner >> 32), half(owner)) {
            // Killed in the midst of it, in a process that shares this memory; or stopped for good.
            let _ = OWNER.compare_exchange(owner, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        sys::pause(5);
    }
}

/// The turn of this thread is over, if it had one. `is_last`: the crash will end the process.
pub fn give(pid: pid_t, tid: pid_t, is_last: bool) {
    let me = identity(pid, tid);
    if is_last && OWNER.load(Ordering::Acquire) == me {
        DYING.store(u64::from(pid.unsigned_abs()), Ordering::Release);
    }
    let _ = OWNER.compare_exchange(me, 0, Ordering::AcqRel, Ordering::Relaxed);
}

/// In a child of fork(2): whoever reported a crash is not here.
pub fn forget() {
    OWNER.store(0, Ordering::Release);
    DYING.store(0, Ordering::Release);
}
