//! The table that a running bench prints.

use super::{
    results::Conditions,
    summary::{CaseSummary, Row, decimal, ratio},
};
use std::fmt::Write;

/// Under which conditions the numbers are taken.
pub fn conditions(conditions: &Conditions) -> String {
    let scheduling = if conditions.real_time {
        "dumpers and targets run with real-time priority"
    } else {
        "nothing runs with real-time priority: other load disturbs the numbers"
    };
    format!(
        "Linux {}, {} processors; {scheduling}. Times in us, median of all rounds.\n\
         standstill: of a running thread, seen from inside the target; (least): its minimum.\n\
         longest: stop of any thread, as the dumper sees it.",
        conditions.kernel, conditions.processors
    )
}

/// The first line of the table.
pub fn heading() -> String {
    line("", &["standstill", "(least)", "longest", "wall", "cpu", "rss KiB", "dump KiB", "calls", "/thread"])
}

/// The lines of one case: all programs, and their ratios.
pub fn rows(summary: &CaseSummary) -> String {
    let mut text = format!("{} (noise {} us)\n", summary.case.name, summary.noise_us);
    let threads = summary.case.threads;
    for row in &summary.rows {
        text.push_str(&row_line(row, threads));
    }
    let Some(ours) = summary.ours() else { return text };
    for other in summary.rows.iter().filter(|row| row.name != ours.name) {
        text.push_str(&ratios(ours, other));
    }
    for row in &summary.rows {
        if let Some(seen) = row.threads.filter(|seen| usize::try_from(*seen).ok() != Some(threads)) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  (a dump by '{}' holds {seen} of {threads} threads)", row.name);
        }
    }
    text
}

fn row_line(row: &Row, threads: usize) -> String {
    let numbers = [
        row.standstill_us,
        row.least_standstill_us,
        row.longest_us(),
        row.wall_us,
        row.cpu_us,
        row.peak_rss_kib,
        row.bytes >> 10,
    ];
    let mut cells: Vec<String> = numbers.iter().map(u64::to_string).collect();
    cells.push(row.calls.map_or_else(|| "-".to_owned(), |calls| calls.all.to_string()));
    cells.push(row.calls.map_or_else(|| "-".to_owned(), |calls| decimal(calls.per_thread(threads))));
    line(&format!("  {}", row.name), &cells)
}

fn ratios(ours: &Row, other: &Row) -> String {
    let pairs = [
        (ours.standstill_us, other.standstill_us),
        (ours.least_standstill_us, other.least_standstill_us),
        (ours.longest_us(), other.longest_us()),
        (ours.wall_us, other.wall_us),
        (ours.cpu_us, other.cpu_us),
        (ours.peak_rss_kib, other.peak_rss_kib),
        (ours.bytes, other.bytes),
    ];
    line(&format!("  ours / {}", other.name), &pairs.map(|(one, other)| ratio(one, other)))
}

fn line(name: &str, cells: &[impl AsRef<str>]) -> String {
    let cells = cells.iter().fold(String::new(), |line, cell| format!("{line}{:>11}", cell.as_ref()));
    format!("{name:<26}{cells}\n")
}
