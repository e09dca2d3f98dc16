//! What one dump came to.

use std::time::Duration;

/// Something for our program and for the published crate's.
#[derive(Debug, Clone)]
pub struct Pair<T> {
    pub ours: T,
    pub peer: T,
}

/// One measured dump.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The longest time for which the target's sampler thread did not run.
    pub standstill: Duration,
    /// All times above [`super::sampler::NOTICEABLE`] for which it did not run: more than `standstill` when the target
    /// was stopped more than once.
    pub stopped_in_all: Duration,
    /// From starting the dumper to its end.
    pub wall: Duration,
    /// Processor time of the dumper, user and system.
    pub cpu: Duration,
    /// Peak resident memory of the dumper, in bytes; at least the 3 MiB or so of the harness that forked it.
    pub peak_rss: u64,
    /// Size of the dump, in bytes.
    pub bytes: u64,
    /// Threads in the dump.
    pub threads: u32,
    /// What the dumper printed about itself.
    pub said: String,
}

/// A dump by each program, and an undisturbed look at the target.
#[derive(Debug, Clone)]
pub struct Round {
    pub dumps: Pair<Sample>,
    /// The longest time for which the sampler did not run although nobody dumped.
    pub noise: Duration,
}

/// The middle one, or the lower one of the two middle ones; zero of none.
pub fn median<T: Ord + Copy + Default>(values: impl Iterator<Item = T>) -> T {
    let mut sorted: Vec<T> = values.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_does_not_depend_on_order_and_ignores_outliers() {
        assert_eq!(median([900, 1, 3, 2, 4].into_iter()), 3);
        assert_eq!(median([4, 1].into_iter()), 1);
        assert_eq!(median([7].into_iter()), 7);
        assert_eq!(median(std::iter::empty::<u64>()), 0);
    }
}
