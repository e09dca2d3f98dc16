//! What was measured, as `docs/performance/crash.json` has it. Times are in µs.

use crate::{
    bench::results::Conditions,
    shell::{Doing, Outcome},
};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path, time::Duration};

/// One run of the bench.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CrashResults {
    pub conditions: Conditions,
    /// The part of the time, in percent, in which some thread of the machine waited for a processor, before the run and
    /// in its last minute (`/proc/pressure/cpu`). `None` where the kernel does not tell.
    pub pressure: [Option<u64>; 2],
    pub rounds: usize,
    pub cases: Vec<CaseResults>,
    pub idle: Vec<IdleResults>,
    pub bursts: Vec<BurstResults>,
}

/// A program of one size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseResults {
    pub threads: usize,
    /// What is live of each stack.
    pub live_kib: usize,
    pub ways: Vec<WayResults>,
}

/// What one way made of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WayResults {
    pub name: String,
    /// From just before the crash till its parent was told of its end.
    pub exit_us: Times,
    /// What the start of its protection took in the program.
    pub start_us: Times,
    /// Length of the last dump.
    pub bytes: u64,
}

/// Samples of one kind.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Times {
    pub median: u64,
    pub least: u64,
    pub samples: Vec<u64>,
}

impl Times {
    /// Of all rounds.
    pub fn of(samples: Vec<Duration>) -> Self {
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let samples: Vec<u64> = samples.into_iter().map(us).collect();
        let mut sorted = samples.clone();
        sorted.sort_unstable();
        let at = |index: usize| sorted.get(index).copied().unwrap_or(0);
        Self { median: at(sorted.len() / 2), least: at(0), samples }
    }
}

/// Memory of a handler that has nothing to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IdleResults {
    pub name: String,
    /// One second after its start.
    pub fresh: Memory,
    /// One second after its first dump.
    pub used: Memory,
}

/// As `/proc/PID/smaps_rollup` tells it, in KiB.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Memory {
    pub rss: u64,
    /// Its share of what it shares.
    pub pss: u64,
    /// What nobody else has.
    pub private: u64,
}

/// Many programs that crash at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BurstResults {
    pub name: String,
    pub programs: usize,
    pub threads: usize,
    /// What is live of each stack.
    pub live_kib: usize,
    /// From the first crash to the last.
    pub crashes_us: u64,
    /// From the first crash to the last end.
    pub all_us: u64,
    /// Dumps with all threads.
    pub whole: usize,
    /// Bytes of all dumps.
    pub bytes: u64,
    /// Peak of the handler's memory.
    pub peak_kib: u64,
}

/// What was measured before.
pub fn read(path: &Path) -> Outcome<CrashResults> {
    let text = fs::read_to_string(path).doing(format_args!("could not read {}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::Times;
    use std::time::Duration;

    #[test]
    fn the_median_and_the_least_are_of_the_samples_in_any_order() {
        let times = Times::of([9, 1, 5].map(Duration::from_micros).to_vec());
        assert_eq!((times.median, times.least, times.samples), (5, 1, vec![9, 1, 5]));
        assert_eq!(Times::of(Vec::new()).median, 0);
    }
}
