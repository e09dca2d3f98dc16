//! The thread inside the target that notices when the target stands still.
//!
//! It reads the monotonic clock as fast as it can. A dumper stops every thread, so this one too; the largest step
//! between two readings is how long the target stood still, whoever stopped it and however.

use super::os;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Steps from this length on are counted as standing still. A reading takes well under 1 us.
pub const NOTICEABLE: Duration = Duration::from_micros(20);

/// What the sampler saw between being started and being stopped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gaps {
    /// The longest step between two readings of the clock.
    pub largest: Duration,
    /// All steps of at least [`NOTICEABLE`] together.
    pub sum: Duration,
}

/// A handle on the sampler thread.
pub struct Sampler {
    sampling: Arc<AtomicBool>,
    wake: Sender<()>,
    begun: Receiver<()>,
    results: Receiver<Gaps>,
}

impl Sampler {
    /// Starts the thread; it waits, using no processor, until it is told to sample.
    pub fn spawn() -> std::io::Result<Self> {
        let sampling = Arc::new(AtomicBool::new(false));
        let (wake, woken) = channel();
        let (begin, begun) = channel();
        let (report, results) = channel();
        let flag = Arc::clone(&sampling);
        thread::Builder::new().name("sampler".into()).spawn(move || {
            // Other programs must not take the processor from this thread: that would look like standing still.
            os::take_a_processor(os::SAMPLER_PRIORITY);
            for () in woken {
                if begin.send(()).is_err() || report.send(sample(&flag)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { sampling, wake, begun, results })
    }

    /// Returns once the thread is about to sample.
    pub fn start(&self) -> bool {
        self.sampling.store(true, Ordering::Relaxed);
        self.wake.send(()).is_ok() && self.begun.recv().is_ok()
    }

    /// Ends the sampling and returns what was seen.
    pub fn stop(&self) -> Option<Gaps> {
        self.sampling.store(false, Ordering::Relaxed);
        self.results.recv().ok()
    }
}

fn sample(sampling: &AtomicBool) -> Gaps {
    let mut gaps = Gaps::default();
    let mut before = Instant::now();
    while sampling.load(Ordering::Relaxed) {
        let now = Instant::now();
        let gap = now.saturating_duration_since(before);
        before = now;
        gaps.count(gap);
    }
    gaps
}

impl Gaps {
    fn count(&mut self, gap: Duration) {
        if gap >= NOTICEABLE {
            self.sum += gap;
        }
        self.largest = self.largest.max(gap);
    }
}

#[cfg(test)]
mod tests {
    use super::{Gaps, Sampler};
    use std::time::Duration;

    #[test]
    fn the_largest_gap_and_the_sum_of_the_noticeable_ones_are_kept() {
        let mut gaps = Gaps::default();
        for us in [5, 300, 1, 40, 19] {
            gaps.count(Duration::from_micros(us));
        }
        assert_eq!((gaps.largest.as_micros(), gaps.sum.as_micros()), (300, 340));
    }

    #[test]
    fn a_sampler_can_be_started_again_and_answers_once_for_each_start() {
        let sampler = Sampler::spawn().unwrap();
        for _ in 0..2 {
            assert!(sampler.start());
            assert!(sampler.stop().is_some());
            assert!(sampler.results.try_recv().is_err());
        }
    }
}
