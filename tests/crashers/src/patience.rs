//! Waiting for what has no event.

use std::time::{Duration, Instant};

/// Longest that any set-up step may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Yields until `condition` holds, and dies when it does not within a minute. For conditions that have no event.
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited too long for: {what}");
        std::thread::yield_now();
    }
}
