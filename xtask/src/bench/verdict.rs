//! What the bench does not accept.

use super::{
    case::{Case, Plan},
    summary::{CaseSummary, Row, Summary, decimal, hundredths},
};
use std::fmt::Write;

/// Hundredths that our standstill may be of the published crate's.
const FEW_THREADS: u64 = 15;
const MANY_THREADS: u64 = 22;
const LARGE_MAP: u64 = 25;
const BUSY: u64 = 50;
/// Hundredths of other ratios.
const FLOOR: u64 = 150;
const WALL: u64 = 50;
const MEMORY: u64 = 100;
/// System calls per thread in the window, in hundredths; fixed costs hide what a thread costs where there are few.
const CALLS: u64 = 600;
const THREADS_THAT_COUNT: usize = 128;
/// From the start to the end of a dump of a small process, in µs.
const SMALL_DUMP_US: u64 = 5000;
const SMALL: usize = 2;
/// A target with at least this many threads and nothing else is held to the limit of memory, in KiB beyond the size of
/// the dump.
const HEAVY_THREADS: usize = 1024;
const ALLOWANCE_KIB: u64 = 8 << 10;

/// One limit, and what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub case: String,
    pub what: &'static str,
    pub limit: String,
    pub measured: String,
    /// `None` where nothing was measured.
    pub met: Option<bool>,
}

/// All limits of a run of the full plan.
pub fn verdicts(summary: &Summary) -> Vec<Verdict> {
    let judged = summary.cases.iter().filter(|results| results.case.judged && !results.case.all_memory);
    judged.flat_map(of_case).collect()
}

fn of_case(results: &CaseSummary) -> Vec<Verdict> {
    let case = &results.case;
    let (ours, peer, floor) = (results.ours(), results.peer(), results.floor());
    let ratio = |what, limit, number: fn(&Row) -> u64, other: Option<&Row>| {
        let both = ours.zip(other);
        let measured = both.and_then(|(ours, other)| hundredths(number(ours), number(other)));
        verdict(case, what, limit, measured, decimal)
    };
    let mut found = vec![
        ratio("standstill / published crate", standstill_limit(case), |row| row.standstill_us, peer),
        ratio("standstill / floor", FLOOR, |row| row.standstill_us, floor),
        ratio("wall time / published crate", WALL, |row| row.wall_us, peer),
        ratio("peak memory / published crate", MEMORY, |row| row.peak_rss_kib, peer),
    ];
    if case.threads >= THREADS_THAT_COUNT {
        let calls = ours.and_then(|row| row.calls).map(|calls| calls.per_thread(case.threads));
        found.push(verdict(case, "system calls per thread in the window", CALLS, calls, decimal));
    }
    if case.threads == SMALL {
        let wall = ours.map(|row| row.wall_us);
        found.push(verdict(case, "wall time", SMALL_DUMP_US, wall, |us| format!("{us} us")));
    }
    found
}

fn standstill_limit(case: &Case) -> u64 {
    match case {
        Case { busy: true, .. } => BUSY,
        case if case.maps > 0 || case.libraries > 0 => LARGE_MAP,
        Case { threads: ..THREADS_THAT_COUNT, .. } => FEW_THREADS,
        _ => MANY_THREADS,
    }
}

fn verdict(
    case: &Case,
    what: &'static str,
    limit: u64,
    measured: Option<u64>,
    show: fn(u64) -> String,
) -> Verdict {
    Verdict {
        case: case.name.clone(),
        what,
        limit: show(limit),
        measured: measured.map_or_else(|| "not measured".to_owned(), show),
        met: measured.map(|number| number <= limit),
    }
}

impl Verdict {
    /// `met` or what else it is.
    pub fn word(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "-",
        }
    }
}

/// The limits as a table for a terminal.
pub fn table(verdicts: &[Verdict]) -> String {
    let mut text = format!("{:<28}{:<40}{:>10}{:>14}\n", "", "", "limit", "measured");
    for verdict in verdicts {
        let Verdict { case, what, limit, measured, .. } = verdict;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{case:<28}{what:<40}{limit:>10}{measured:>14}  {}", verdict.word());
    }
    text
}

/// One sentence for each broken promise that this plan judges.
pub fn complaints(summary: &Summary, plan: &Plan) -> Vec<String> {
    let mut found: Vec<String> = summary.cases.iter().filter_map(heavy).collect();
    if plan.thorough {
        let missed = verdicts(summary).into_iter().filter(|verdict| verdict.met == Some(false));
        found.extend(missed.map(|verdict| {
            format!(
                "MISSED: {}: {} is {}, the limit is {}",
                verdict.case, verdict.what, verdict.measured, verdict.limit
            )
        }));
    } else if plan.timed {
        found.extend(summary.cases.iter().filter_map(slow));
    }
    found
}

fn slow(results: &CaseSummary) -> Option<String> {
    let (ours, peer) = results.ours().zip(results.peer())?;
    (ours.standstill_us > peer.standstill_us).then(|| {
        format!(
            "SLOWER: {}: our dump stops the target for {} us, the published crate's for {} us",
            results.case.name, ours.standstill_us, peer.standstill_us
        )
    })
}

fn heavy(results: &CaseSummary) -> Option<String> {
    let (kib, dump) = results.ours().map(|row| (row.peak_rss_kib, row.bytes >> 10))?;
    let is_heavy = kib > dump.saturating_add(ALLOWANCE_KIB);
    let case = &results.case;
    let is_plain = case.maps == 0 && case.libraries == 0;
    (case.threads >= HEAVY_THREADS && is_plain && is_heavy)
        .then(|| format!("TOO MUCH MEMORY: {}: {kib} KiB at the peak for a dump of {dump} KiB", case.name))
}

#[cfg(test)]
mod tests;
