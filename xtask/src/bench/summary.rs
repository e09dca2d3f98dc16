//! What the samples come to: medians and minima. The documentation is made from it, and `docs/performance/bench.json`
//! holds it. Times are in µs.

use super::{
    case::Case,
    results::{Calls, CaseResults, Conditions, FLOOR, OURS, PEER, ProgramResults, Results, Sample},
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    pub plan: String,
    pub conditions: Conditions,
    pub cases: Vec<CaseSummary>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseSummary {
    pub case: Case,
    /// Mappings that the target had.
    pub mappings: usize,
    /// What the sampler sees when nobody dumps.
    pub noise_us: u64,
    pub rows: Vec<Row>,
}

/// One program on one target: medians, but for `least_standstill_us`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    pub rounds: usize,
    pub standstill_us: u64,
    pub least_standstill_us: u64,
    /// `None` where the dumper does not say it.
    pub longest_stop_us: Option<u64>,
    pub wall_us: u64,
    pub cpu_us: u64,
    pub peak_rss_kib: u64,
    pub bytes: u64,
    /// The fewest threads that a dump had.
    pub threads: Option<u32>,
    pub calls: Option<Calls>,
}

impl Summary {
    pub fn of(results: &Results) -> Self {
        Self {
            plan: results.plan.clone(),
            conditions: results.conditions.clone(),
            cases: results.cases.iter().map(CaseSummary::of).collect(),
        }
    }
}

impl CaseSummary {
    pub fn of(results: &CaseResults) -> Self {
        Self {
            case: results.case.clone(),
            mappings: results.mappings,
            noise_us: median(results.noise_us.iter().copied()),
            rows: results.programs.iter().map(Row::of).collect(),
        }
    }

    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    pub fn ours(&self) -> Option<&Row> {
        self.row(OURS)
    }

    pub fn peer(&self) -> Option<&Row> {
        self.row(PEER)
    }

    pub fn floor(&self) -> Option<&Row> {
        self.row(FLOOR)
    }
}

impl Row {
    fn of(results: &ProgramResults) -> Self {
        let samples = &results.samples;
        let middle = |number: fn(&Sample) -> u64| median(samples.iter().map(number));
        let longest: Option<Vec<u64>> = samples.iter().map(|sample| sample.longest_stop_us).collect();
        Self {
            name: results.name.clone(),
            rounds: samples.len(),
            standstill_us: middle(|sample| sample.standstill_us),
            least_standstill_us: samples.iter().map(|sample| sample.standstill_us).min().unwrap_or_default(),
            longest_stop_us: longest.map(|times| median(times.into_iter())),
            wall_us: middle(|sample| sample.wall_us),
            cpu_us: middle(|sample| sample.cpu_us),
            peak_rss_kib: middle(|sample| sample.peak_rss_kib),
            bytes: middle(|sample| sample.bytes),
            threads: samples.iter().map(|sample| sample.threads).min().flatten(),
            calls: results.calls,
        }
    }

    /// The longest stop of any thread. A dumper that stops all threads before it does anything, and then lets all go,
    /// makes a running thread stand as long as any.
    pub fn longest_us(&self) -> u64 {
        self.longest_stop_us.unwrap_or(self.standstill_us)
    }

    /// How fast the dump was made.
    pub fn bytes_per_second(&self) -> u64 {
        self.bytes.saturating_mul(1_000_000) / self.wall_us.max(1)
    }
}

impl Calls {
    /// Those in the window for each of so many threads, in hundredths.
    pub fn per_thread(self, threads: usize) -> u64 {
        let threads = u64::try_from(threads).unwrap_or(u64::MAX);
        hundredths(self.in_window, threads).unwrap_or_default()
    }
}

/// The middle one, or the lower one of the two middle ones; zero of none.
pub fn median<T: Ord + Copy + Default>(values: impl Iterator<Item = T>) -> T {
    let mut sorted: Vec<T> = values.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// `one / other` in hundredths, rounded. `None` where there is nothing to divide by.
pub fn hundredths(one: u64, other: u64) -> Option<u64> {
    one.saturating_mul(100).saturating_add(other / 2).checked_div(other)
}

/// Hundredths as a number with two decimals.
pub fn decimal(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// `one / other` with two decimals.
pub fn ratio(one: u64, other: u64) -> String {
    hundredths(one, other).map_or_else(|| "-".to_owned(), decimal)
}

#[cfg(test)]
mod tests {
    use super::{Calls, Row, median, ratio};
    use crate::bench::results::{ProgramResults, Sample};

    #[test]
    fn the_median_does_not_depend_on_order_and_ignores_outliers() {
        assert_eq!(median([900, 1, 3, 2, 4].into_iter()), 3);
        assert_eq!(median([4, 1].into_iter()), 1);
        assert_eq!(median([7].into_iter()), 7);
        assert_eq!(median(std::iter::empty::<u64>()), 0);
    }

    #[test]
    fn ratios_are_rounded_and_never_divide_by_zero() {
        assert_eq!(ratio(1, 3), "0.33");
        assert_eq!(ratio(2, 3), "0.67");
        assert_eq!(ratio(500, 100), "5.00");
        assert_eq!(ratio(5, 0), "-");
        assert_eq!(Calls { all: 99, in_window: 80 }.per_thread(16), 500);
    }

    fn row(longest: [Option<u64>; 3]) -> Row {
        let sample =
            |(standstill_us, longest_stop_us)| Sample { standstill_us, longest_stop_us, ..Sample::default() };
        let samples = [30, 10, 20].into_iter().zip(longest).map(sample).collect();
        Row::of(&ProgramResults { name: "ours".into(), samples, calls: None })
    }

    #[test]
    fn a_row_has_the_median_and_the_least() {
        let row = row([Some(70), Some(90), Some(80)]);
        assert_eq!((row.standstill_us, row.least_standstill_us, row.longest_us()), (20, 10, 80));
    }

    #[test]
    fn a_dumper_that_does_not_tell_its_longest_stop_has_that_of_the_running_thread() {
        assert_eq!(row([None; 3]).longest_us(), 20);
    }
}
