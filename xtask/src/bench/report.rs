//! The table and the file of results.

use super::{
    case::Case,
    os,
    sample::{Round, Sample, median},
};
use serde_json::{Value, json};
use std::{fmt::Write, fs, time::Duration};

/// Under which conditions the numbers were taken.
pub fn conditions(real_time: bool) -> String {
    let scheduling = if real_time {
        "dumpers and targets run with real-time priority"
    } else {
        "nothing runs with real-time priority: other load disturbs the numbers"
    };
    format!(
        "Linux {}, {} processors; {scheduling}. Times in us, median of all rounds.",
        kernel(),
        os::processors()
    )
}

/// The first line of the table.
pub fn heading() -> String {
    format!(
        "{:<28}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "", "standstill", "(least)", "wall", "cpu", "rss KiB", "dump KiB"
    )
}

/// The lines of one case: both programs, their ratio, and what the sampler sees when nobody dumps.
pub fn rows(case: &Case, rounds: &[Round]) -> String {
    let ours = Line::of(rounds, |round| &round.dumps.ours);
    let peer = Line::of(rounds, |round| &round.dumps.peer);
    let noise = median(rounds.iter().map(|round| round.noise));
    let mut text = format!("{} (noise {} us)\n", case.name, noise.as_micros());
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:<28}{}", "  ours", ours.cells(|number| number.to_string()));
    let _ = writeln!(text, "{:<28}{}", "  published crate", peer.cells(|number| number.to_string()));
    let _ = writeln!(text, "{:<28}{}", "  ours / published crate", ours.ratios(&peer));
    let seen = rounds.first().map_or(0, |round| round.dumps.peer.threads);
    if usize::try_from(seen).ok() != Some(case.threads) {
        let _ = writeln!(text, "  (the published crate's dump holds {seen} of {} threads)", case.threads);
    }
    text
}

/// All samples, for other programs.
pub fn json(plan: &str, real_time: bool, results: &[(Case, Vec<Round>)]) -> String {
    let cases: Vec<Value> = results.iter().map(|(case, rounds)| case_json(case, rounds)).collect();
    let all = json!({
        "plan": plan,
        "kernel": kernel(),
        "processors": os::processors(),
        "real_time": real_time,
        "cases": cases,
    });
    format!("{all:#}\n")
}

/// The medians of one program: standstill, least standstill, wall, processor time, memory, size.
struct Line([u64; 6]);

impl Line {
    fn of(rounds: &[Round], pick: impl Fn(&Round) -> &Sample) -> Self {
        let middle = |number: fn(&Sample) -> u64| median(rounds.iter().map(|round| number(pick(round))));
        let least = rounds.iter().map(|round| micros(pick(round).standstill)).min().unwrap_or_default();
        Self([
            middle(|sample| micros(sample.standstill)),
            least,
            middle(|sample| micros(sample.wall)),
            middle(|sample| micros(sample.cpu)),
            middle(|sample| sample.peak_rss >> 10),
            middle(|sample| sample.bytes >> 10),
        ])
    }

    fn cells(&self, show: impl Fn(u64) -> String) -> String {
        self.0.iter().fold(String::new(), |line, number| format!("{line}{:>12}", show(*number)))
    }

    fn ratios(&self, other: &Self) -> String {
        self.0
            .iter()
            .zip(&other.0)
            .fold(String::new(), |line, (ours, theirs)| format!("{line}{:>12}", ratio(*ours, *theirs)))
    }
}

/// `ours / theirs` with two decimals, in whole numbers.
fn ratio(ours: u64, theirs: u64) -> String {
    let hundredths = ours.saturating_mul(100).saturating_add(theirs / 2).checked_div(theirs);
    hundredths.map_or_else(|| "-".to_owned(), |value| format!("{}.{:02}", value / 100, value % 100))
}

fn case_json(case: &Case, rounds: &[Round]) -> Value {
    let samples = |pick: fn(&Round) -> &Sample| -> Vec<Value> {
        rounds.iter().map(|round| sample_json(pick(round))).collect()
    };
    json!({
        "name": case.name,
        "threads": case.threads,
        "maps": case.maps,
        "libraries": case.libraries,
        "heap_mib": case.heap_mib,
        "busy": case.busy,
        "noise_us": rounds.iter().map(|round| micros(round.noise)).collect::<Vec<_>>(),
        "ours": samples(|round| &round.dumps.ours),
        "peer": samples(|round| &round.dumps.peer),
    })
}

fn sample_json(sample: &Sample) -> Value {
    json!({
        "standstill_us": micros(sample.standstill),
        "stopped_in_all_us": micros(sample.stopped_in_all),
        "wall_us": micros(sample.wall),
        "cpu_us": micros(sample.cpu),
        "peak_rss_kib": sample.peak_rss >> 10,
        "bytes": sample.bytes,
        "threads": sample.threads,
        "said": serde_json::from_str::<Value>(&sample.said).unwrap_or_else(|_| json!(sample.said)),
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "?".to_owned(), |release| release.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::ratio;

    #[test]
    fn ratios_are_rounded_and_never_divide_by_zero() {
        assert_eq!(ratio(1, 3), "0.33");
        assert_eq!(ratio(2, 3), "0.67");
        assert_eq!(ratio(500, 100), "5.00");
        assert_eq!(ratio(5, 0), "-");
    }
}
