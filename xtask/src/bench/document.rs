//! `docs/performance.md`, its pictures and its numbers, made from what was measured.

use super::{
    case::FEW_ROUNDS,
    plots,
    results::{FLOOR, GCORE, OURS, PEER},
    summary::{CaseSummary, Row, Summary, decimal, ratio},
    units, verdict,
};
use crate::{
    places,
    shell::{Doing, Outcome},
};
use std::{fmt::Write, fs, path::PathBuf};

/// The text, with names in double braces where numbers belong.
const TEXT: &str = include_str!("performance.md");
const NOTHING: &str = "–";

/// The file with the numbers.
pub fn numbers() -> PathBuf {
    places::root().join("docs/performance/bench.json")
}

/// Writes all files.
pub fn write(summary: &Summary) -> Outcome {
    let folder = places::root().join("docs/performance");
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    let json = serde_json::to_string_pretty(summary).map_err(|error| error.to_string())?;
    let files = [
        (places::root().join("docs/performance.md"), text(summary)),
        (numbers(), json + "\n"),
        (folder.join("standstill-threads.svg"), plots::threads(summary)),
        (folder.join("standstill-mappings.svg"), plots::mappings(summary)),
    ];
    for (path, content) in files {
        fs::write(&path, content).doing(format_args!("could not write {}", path.display()))?;
        eprintln!("xtask: wrote {}", path.display());
    }
    Ok(())
}

fn text(summary: &Summary) -> String {
    let parts = [
        ("{{conditions}}", conditions(summary)),
        ("{{standstill}}", standstill(summary)),
        ("{{longest}}", longest(summary)),
        ("{{costs}}", costs(summary)),
        ("{{memory}}", memory(summary)),
        ("{{limits}}", limits(summary)),
        ("{{rounds}}", rounds(summary)),
        ("{{scheduling}}", scheduling(summary).to_owned()),
        ("{{noise}}", noise(summary)),
    ];
    parts.iter().fold(TEXT.to_owned(), |text, (name, part)| text.replace(name, part.trim_end()))
}

fn conditions(summary: &Summary) -> String {
    let machine = &summary.conditions;
    format!(
        "Machine: {} processors ({}), {} of memory, Linux {}.",
        machine.processors,
        machine.processor,
        units::size(machine.memory_mib << 20),
        machine.kernel
    )
}

fn scheduling(summary: &Summary) -> &'static str {
    if summary.conditions.real_time {
        "Dumpers and targets run with real-time priority (`SCHED_FIFO`), and the sampler has a processor of its own, so \
         that other load hardly disturbs them. The dumpers share the processors that are left."
    } else {
        "Nothing ran with real-time priority, so other load disturbed the numbers."
    }
}

fn rounds(summary: &Summary) -> String {
    let most = summary.cases.iter().flat_map(|results| &results.rows).map(|row| row.rounds).max();
    let few = most.unwrap_or_default().min(FEW_ROUNDS);
    format!("{} rounds; {few} of gcore and of dumps of all memory.", most.unwrap_or_default())
}

fn noise(summary: &Summary) -> String {
    let most = of_stacks(summary).max_by_key(|results| results.noise_us);
    most.map_or_else(String::new, |worst| {
        format!(
            "Noise: the longest time for which the sampler did not run although nobody dumped is {} at most (median \
             of the rounds of '{}').",
            units::time(worst.noise_us),
            worst.case.name
        )
    })
}

/// A table in Markdown.
fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text =
        format!("| {} |\n|---|{}\n", heads.join(" | "), "--:|".repeat(heads.len().saturating_sub(1)));
    for row in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

fn cell(row: Option<&Row>, show: impl FnOnce(&Row) -> String) -> String {
    row.map_or_else(|| NOTHING.to_owned(), show)
}

/// The quotient of one number of ours and the same one of another program.
fn quotient(results: &CaseSummary, other: &str, number: fn(&Row) -> u64) -> String {
    let both = results.ours().zip(results.row(other));
    both.map_or_else(|| NOTHING.to_owned(), |(ours, other)| ratio(number(ours), number(other)))
}

fn of_stacks(summary: &Summary) -> impl Iterator<Item = &CaseSummary> {
    summary.cases.iter().filter(|results| !results.case.all_memory)
}

fn standstill(summary: &Summary) -> String {
    let both =
        |row: &Row| format!("{} ({})", units::time(row.standstill_us), units::time(row.least_standstill_us));
    let heads = ["target", OURS, PEER, GCORE, FLOOR, "ours ÷ crate", "ours ÷ floor"];
    let rows = of_stacks(summary).map(|results| {
        let mut cells = vec![results.case.name.clone()];
        cells.extend([OURS, PEER, GCORE, FLOOR].map(|name| cell(results.row(name), both)));
        cells.extend([PEER, FLOOR].map(|name| quotient(results, name, |row| row.standstill_us)));
        cells
    });
    table(&heads, rows)
}

fn longest(summary: &Summary) -> String {
    let heads = ["target", OURS, PEER, GCORE, FLOOR, "ours ÷ crate", "ours ÷ floor"];
    let rows = of_stacks(summary).map(|results| {
        let mut cells = vec![results.case.name.clone()];
        cells.extend(
            [OURS, PEER, GCORE, FLOOR]
                .map(|name| cell(results.row(name), |row| units::time(row.longest_us()))),
        );
        cells.extend([PEER, FLOOR].map(|name| quotient(results, name, Row::longest_us)));
        cells
    });
    table(&heads, rows)
}

fn costs(summary: &Summary) -> String {
    let heads = [
        "target",
        "program",
        "wall time",
        "processor time",
        "peak memory",
        "dump",
        "system calls",
        "in the window, per thread",
    ];
    let rows = of_stacks(summary).flat_map(|results| {
        results.rows.iter().enumerate().map(|(index, row)| {
            // The name of the target once for all its lines.
            let name = if index == 0 { results.case.name.clone() } else { String::new() };
            let calls = row.calls.map_or_else(
                || ["not counted".to_owned(), NOTHING.to_owned()],
                |calls| [units::count(calls.all), decimal(calls.per_thread(results.case.threads))],
            );
            let mut cells = vec![name, row.name.clone()];
            cells.extend(cost(row));
            cells.extend(calls);
            cells
        })
    });
    table(&heads, rows)
}

/// Wall time, processor time, memory, size.
fn cost(row: &Row) -> [String; 4] {
    let dump = if row.bytes == 0 { NOTHING.to_owned() } else { units::size(row.bytes) };
    [units::time(row.wall_us), units::time(row.cpu_us), units::size(row.peak_rss_kib << 10), dump]
}

fn memory(summary: &Summary) -> String {
    let heads = ["program", "standstill", "wall time", "processor time", "peak memory", "dump", "per second"];
    let rows = summary.cases.iter().filter(|results| results.case.all_memory).flat_map(|results| {
        results.rows.iter().map(|row| {
            let mut cells = vec![row.name.clone(), units::time(row.standstill_us)];
            cells.extend(cost(row));
            cells.push(units::size(row.bytes_per_second()));
            cells
        })
    });
    table(&heads, rows)
}

fn limits(summary: &Summary) -> String {
    let rows = verdict::verdicts(summary).into_iter().map(|verdict| {
        let word = verdict.word().to_owned();
        vec![verdict.case, verdict.what.to_owned(), verdict.limit, verdict.measured, word]
    });
    table(&["target", "what", "limit", "measured", ""], rows)
}

#[cfg(test)]
mod tests;
