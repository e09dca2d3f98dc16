//! One local dump of a process at a time: it can have one tracer only.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The process whose thread takes a dump just now; zero when none does. In a fork of the process, the id left here by
/// the original is somebody else's and does not count.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Pause between looks.
const PAUSE: Duration = Duration::from_millis(1);

/// The right to take a dump, until this is dropped.
#[derive(Debug)]
pub struct Turn(());

impl Turn {
    /// Waits for the threads that came before. `None` when they take longer than `patience`.
    pub fn take(patience: Duration) -> Option<Self> {
        let own = std::process::id();
        let until = Instant::now() + patience;
        loop {
            let found = TAKEN.load(Ordering::Relaxed);
            if found != own
                && TAKEN.compare_exchange(found, own, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return Some(Self(()));
            }
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_had_by_one_at_a_time_and_not_inherited_by_a_fork() {
        let first = Turn::take(Duration::from_secs(60)).unwrap();
        assert!(Turn::take(Duration::ZERO).is_none());
        // As a fork would find it.
        TAKEN.store(std::process::id() + 1, Ordering::Relaxed);
        let second = Turn::take(Duration::ZERO).unwrap();
        assert!(Turn::take(Duration::ZERO).is_none());
        drop(second);
        assert!(Turn::take(Duration::ZERO).is_some());
        std::mem::forget(first);
    }
}
