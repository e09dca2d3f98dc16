//! How a tracer waits for threads to stop.
//!
//! The kernel has no wait for a tracee that ends at a deadline. So this looks again and again, first without a pause, as
//! a thread that runs on another processor stops within microseconds, then with pauses, in which threads that need this
//! processor can stop.

use std::time::{Duration, Instant};

/// How long to look without a pause.
const EAGER: Duration = Duration::from_micros(20);
/// The first pause.
const SHORTEST: Duration = Duration::from_micros(20);
/// How long pauses grow while the threads may just be many: each takes some microseconds to stop.
const LONG: Duration = Duration::from_micros(160);
/// How long they grow when something is wrong.
const LONGEST: Duration = Duration::from_millis(1);
/// Waiting longer than this, something is wrong.
const PATIENCE: Duration = Duration::from_millis(10);

/// Pauses that become longer.
#[derive(Debug)]
pub struct Pauses {
    begun: Instant,
    next: Duration,
}

impl Pauses {
    /// Begins to wait.
    pub fn new() -> Self {
        Self { begun: Instant::now(), next: SHORTEST }
    }

    /// Whether what is waited for takes unusually long.
    pub fn are_long(&self) -> bool {
        self.next >= LONG
    }

    /// Whether the pauses grow no more.
    pub fn are_longest(&self) -> bool {
        self.next >= LONGEST
    }

    /// Pauses, not beyond `deadline`. `now` is the present.
    pub fn pause(&mut self, now: Instant, deadline: Instant) {
        let waited = now.duration_since(self.begun);
        if waited < EAGER {
            std::thread::yield_now();
            return;
        }
        std::thread::sleep(self.next.min(deadline.saturating_duration_since(now)));
        let limit = if waited < PATIENCE { LONG } else { LONGEST };
        self.next = (self.next * 2).min(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_beyond_only_when_it_takes_long() {
        let start = Instant::now();
        let mut pauses = Pauses::new();
        let past = start + Duration::from_micros(100);
        for _ in 0..10 {
            pauses.pause(past.max(pauses.begun + EAGER), start);
        }
        assert!(pauses.are_long() && !pauses.are_longest(), "{pauses:?}");
        for _ in 0..10 {
            pauses.pause(pauses.begun + PATIENCE, start);
        }
        assert!(pauses.are_longest(), "{pauses:?}");
        assert_eq!(pauses.next, LONGEST);
    }

    #[test]
    fn the_first_looks_are_not_paused_between() {
        let mut pauses = Pauses::new();
        pauses.pause(pauses.begun, pauses.begun + Duration::from_secs(9));
        assert_eq!(pauses.next, SHORTEST);
    }
}
