//! Waiting for a borrowed task, always under a deadline.
//!
//! As in the window, waits are looks with short pauses, at one task each: a blocking wait knows no deadline, and one for
//! any child would take what belongs to the embedding program.

use super::super::proc_fs::Stat;
use super::super::ptrace::{self, Event};
use super::requests::{self, Stop};
use libc::pid_t;
use std::time::{Duration, Instant};

/// Looks that only give way to others before the pauses start. A system call takes no longer, as a rule.
const EAGER_LOOKS: u32 = 16;
/// First and longest pause. The target stands still meanwhile, so they stay short.
const SHORTEST_PAUSE: Duration = Duration::from_micros(10);
const LONGEST_PAUSE: Duration = Duration::from_micros(250);

/// Why a wait ended without a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Time was up.
    Late,
    /// The task is dead.
    Gone,
}

/// Waits until `tid` stops.
pub fn for_stop(tid: pid_t, deadline: Instant) -> Result<Stop, Lost> {
    poll(deadline, |look| match requests::poll_stop(tid) {
        Ok(Some(stop)) => Some(Ok(stop)),
        Err(_) => Some(Err(Lost::Gone)),
        // Somebody else in this process may have taken the status, and an exit is not ours to take.
        Ok(None) if look > EAGER_LOOKS => {
            let stop = requests::probe_stop(tid).map(Ok);
            stop.or_else(|| has_exited(tid).then_some(Err(Lost::Gone)))
        }
        Ok(None) => None,
    })
}

/// Waits until the tracee `tid`, which was killed, is dead, and takes its exit. False when time was up.
pub fn for_exit(tid: pid_t, deadline: Instant) -> bool {
    let gone = poll(deadline, |_| match ptrace::poll_event(tid, false) {
        Ok(Event::Gone) | Err(_) => Some(Ok(())),
        Ok(Event::Stopped { .. } | Event::Nothing) => None,
    });
    gone.is_ok()
}

fn poll<T>(deadline: Instant, mut look: impl FnMut(u32) -> Option<Result<T, Lost>>) -> Result<T, Lost> {
    let mut pause = SHORTEST_PAUSE;
    let mut looks = 0_u32;
    loop {
        if let Some(found) = look(looks) {
            return found;
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(Lost::Late);
        }
        if looks < EAGER_LOOKS {
            std::thread::yield_now();
        } else {
            std::thread::sleep(pause.min(deadline - now));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        looks = looks.saturating_add(1);
    }
}

fn has_exited(tid: pid_t) -> bool {
    let stat = Stat::read(format!("/proc/{tid}/stat"));
    stat.map_or(true, |stat| matches!(stat.state, 'Z' | 'X' | 'x'))
}
