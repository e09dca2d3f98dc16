//! Threads that tell that they are alive.

use super::platform::{ThreadId, monitor::Shared, sys};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A promise of a thread to call [`beat`](Heartbeat::beat) again before its time is over. A thread that does not is dumped,
/// once, and the program goes on. It ends with this value.
#[derive(Debug)]
pub struct Heartbeat {
    beat: Arc<Beat>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Beat {
    thread: ThreadId,
    timeout_ms: u64,
    /// When it was heard last; 0 while it is paused.
    last_ms: AtomicU64,
    is_reported: AtomicBool,
}

impl Heartbeat {
    /// The thread is alive. The time begins anew; a pause ends.
    pub fn beat(&self) {
        let was = self.beat.last_ms.swap(sys::now_ms().max(1), Ordering::AcqRel);
        let reported = self.beat.is_reported.swap(false, Ordering::AcqRel);
        if was == 0 || reported {
            self.shared.wake();
        }
    }

    /// The thread is about to wait for something that may take any time. The next [`beat`](Self::beat) ends the pause.
    pub fn pause(&self) {
        self.beat.last_ms.store(0, Ordering::Release);
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.shared.beats.lock().retain(|other| !Arc::ptr_eq(other, &self.beat));
    }
}

/// All heartbeats of a program.
#[derive(Debug, Default)]
pub struct Beats(Mutex<Vec<Arc<Beat>>>);

impl Beats {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Beat>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one of the calling thread, which begins to beat now.
    pub fn add(shared: &Arc<Shared>, timeout: Duration) -> Heartbeat {
        let beat = Arc::new(Beat {
            thread: sys::thread_id(),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1),
            last_ms: AtomicU64::new(sys::now_ms().max(1)),
            is_reported: AtomicBool::new(false),
        });
        shared.beats.lock().push(Arc::clone(&beat));
        shared.wake();
        Heartbeat { beat, shared: Arc::clone(shared) }
    }

    /// How long it is until the next one is overdue.
    pub fn next(&self) -> Option<Duration> {
        let now = sys::now_ms();
        let left = |beat: &Arc<Beat>| Some(beat.due()?.saturating_sub(now));
        self.lock().iter().filter_map(left).min().map(Duration::from_millis)
    }

    /// Calls `report` with each thread that is overdue and has not been reported, and the reason.
    pub fn overdue(&self, mut report: impl FnMut(ThreadId, &str)) {
        let now = sys::now_ms();
        let late: Vec<_> =
            self.lock().iter().filter(|beat| beat.due().is_some_and(|due| due <= now)).cloned().collect();
        for beat in late {
            beat.is_reported.store(true, Ordering::Release);
            report(
                beat.thread,
                &format!("no sign of life of thread {} for {} ms", beat.thread, beat.timeout_ms),
            );
        }
    }
}

impl Beat {
    /// When it will be overdue; `None` when it cannot be.
    fn due(&self) -> Option<u64> {
        let last = self.last_ms.load(Ordering::Acquire);
        (last > 0 && !self.is_reported.load(Ordering::Acquire)).then(|| last.saturating_add(self.timeout_ms))
    }
}
