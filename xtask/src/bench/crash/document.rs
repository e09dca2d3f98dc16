//! `docs/performance/crash.md` and its numbers, made from what was measured.

use super::results::{BurstResults, CaseResults, CrashResults, Memory, WayResults};
use super::way::Way;
use crate::{
    bench::{summary::ratio, units},
    places,
    shell::{Doing, Outcome},
};
use std::{fmt::Write as _, fs, path::PathBuf};

/// The text, with names in double braces where numbers belong.
const TEXT: &str = include_str!("crash.md");

/// Longest from crash to exit, by the number of threads, in µs (medians).
const MOST_EXIT_US: [(usize, u64); 2] = [(4, 5_000), (1_000, 50_000)];
/// Longest start of the client, in µs, and most resident memory of an idle handler, in KiB.
const MOST_START_US: u64 = 3_000;
const MOST_IDLE_KIB: u64 = 2 << 10;
/// Programs of a burst crash within this time, in µs.
const BURST_US: u64 = 1_000_000;

/// The file with the numbers.
pub fn numbers() -> PathBuf {
    places::root().join("docs/performance/crash.json")
}

/// Writes both files.
pub fn write(results: &CrashResults) -> Outcome {
    let json = serde_json::to_string(results).map_err(|error| error.to_string())?;
    for (path, content) in [(numbers().with_extension("md"), text(results)), (numbers(), json + "\n")] {
        fs::write(&path, content).doing(format_args!("could not write {}", path.display()))?;
        eprintln!("xtask: wrote {}", path.display());
    }
    Ok(())
}

/// The document.
pub fn text(results: &CrashResults) -> String {
    let machine = &results.conditions;
    let conditions = format!(
        "Machine: {} processors ({}), {} of memory, Linux {}.",
        machine.processors,
        machine.processor,
        units::size(machine.memory_mib << 20),
        machine.kernel
    );
    let burst = |number: fn(&BurstResults) -> String| results.bursts.first().map_or_else(String::new, number);
    let parts = [
        ("{{conditions}}", conditions),
        ("{{pressure}}", pressure(results)),
        ("{{rounds}}", results.rounds.to_string()),
        ("{{exits}}", exits(results)),
        ("{{sizes}}", sizes(results)),
        ("{{starts}}", starts(results)),
        ("{{idle}}", idle(results)),
        ("{{programs}}", burst(|burst| burst.programs.to_string())),
        ("{{burst_threads}}", burst(|burst| burst.threads.to_string())),
        ("{{burst_live}}", burst(|burst| units::size(burst.live_kib as u64 * 1024))),
        ("{{bursts}}", bursts(results)),
        ("{{limits}}", limits(results)),
    ];
    parts.iter().fold(TEXT.to_owned(), |text, (name, part)| text.replace(name, part.trim_end()))
}

fn pressure(results: &CrashResults) -> String {
    let [Some(before), Some(last)] = results.pressure else {
        return "Nobody told how busy the machine was otherwise.".into();
    };
    format!(
        "In the minute before the run some thread of the machine waited for a processor {before} % of the time, in its \
         last one {last} %. Each such wait is in these numbers: a dump by another process changes threads many times, \
         and beside programs that compute without pause each change costs a time slice of theirs. Where these are not \
         near 0, the least is closer to the truth than the median."
    )
}

/// Fails when a limit is missed.
pub fn verdict(results: &CrashResults) -> Outcome {
    let missed: Vec<String> = judged(results)
        .into_iter()
        .filter(|verdict| !verdict.is_kept)
        .map(|verdict| format!("{}: {} instead of {}", verdict.what, verdict.measured, verdict.limit))
        .collect();
    if missed.is_empty() { Ok(()) } else { Err(missed.join("\n       ").into()) }
}

fn exits(results: &CrashResults) -> String {
    let mut heads = vec!["threads".to_owned()];
    heads.extend(names(results));
    heads.extend(
        ["ours ÷ minidumper", "ours ÷ no protection", "ours beyond", "minidumper beyond"].map(str::to_owned),
    );
    let rows = results.cases.iter().map(|case| {
        let mut cells = vec![case.threads.to_string()];
        cells.extend(case.ways.iter().map(|way| both(way.exit_us.median, way.exit_us.least)));
        let median = |wanted| of(case, wanted).map_or(0, |way| way.exit_us.median);
        let [ours, peer, none] = [Way::Handler, Way::Peer, Way::None].map(median);
        cells.extend([ratio(ours, peer), ratio(ours, none)]);
        cells.extend([ours, peer].map(|time| units::time(time.saturating_sub(none))));
        cells
    });
    table(&heads, rows)
}

fn sizes(results: &CrashResults) -> String {
    let mut heads = vec!["threads".to_owned()];
    heads.extend(names(results));
    let rows = results.cases.iter().map(|case| {
        let size = |way: &WayResults| if way.bytes == 0 { "–".to_owned() } else { units::size(way.bytes) };
        [case.threads.to_string()].into_iter().chain(case.ways.iter().map(size)).collect()
    });
    table(&heads, rows)
}

fn starts(results: &CrashResults) -> String {
    let heads = ["program", "start"].map(str::to_owned);
    let ways = results.cases.first().into_iter().flat_map(|case| &case.ways);
    let rows = ways
        .filter(|way| way.name != Way::None.name())
        .map(|way| vec![way.name.clone(), both(way.start_us.median, way.start_us.least)]);
    table(&heads, rows)
}

fn idle(results: &CrashResults) -> String {
    let heads = ["handler", "RSS", "PSS", "private", "RSS after a dump", "PSS", "private"].map(str::to_owned);
    let rows = results.idle.iter().map(|idle| {
        let three = |memory: Memory| [memory.rss, memory.pss, memory.private];
        let numbers = three(idle.fresh).into_iter().chain(three(idle.used));
        [idle.name.clone()].into_iter().chain(numbers.map(|kib| units::size(kib << 10))).collect()
    });
    table(&heads, rows)
}

fn bursts(results: &CrashResults) -> String {
    let heads = [
        "handler",
        "whole dumps",
        "from the first crash to the last",
        "to the last end",
        "all dumps",
        "the handler's peak memory",
    ]
    .map(str::to_owned);
    let rows = results.bursts.iter().map(|burst| {
        vec![
            burst.name.clone(),
            format!("{} of {}", burst.whole, burst.programs),
            units::time(burst.crashes_us),
            units::time(burst.all_us),
            units::size(burst.bytes),
            units::size(burst.peak_kib << 10),
        ]
    });
    table(&heads, rows)
}

/// A limit, and what was measured.
struct Verdict {
    what: String,
    limit: String,
    measured: String,
    is_kept: bool,
}

fn limits(results: &CrashResults) -> String {
    let heads = ["what", "limit", "measured", ""].map(str::to_owned);
    let rows = judged(results).into_iter().map(|verdict| {
        let word = if verdict.is_kept { "kept" } else { "missed" };
        vec![verdict.what, verdict.limit, verdict.measured, word.to_owned()]
    });
    table(&heads, rows)
}

fn judged(results: &CrashResults) -> Vec<Verdict> {
    let time = |what: String, us: u64, most: u64| Verdict {
        what,
        limit: format!("≤ {}", units::round_time(most)),
        measured: units::time(us),
        is_kept: us <= most,
    };
    let exits = MOST_EXIT_US.iter().filter_map(|(threads, most)| {
        let case = results.cases.iter().find(|case| case.threads == *threads)?;
        let ours = of(case, Way::Handler)?;
        Some(time(format!("from crash to exit, {threads} threads"), ours.exit_us.median, *most))
    });
    let start = results.cases.first().and_then(|case| of(case, Way::Handler));
    let start = start.map(|ours| time("start of the client".into(), ours.start_us.median, MOST_START_US));
    let idle = results.idle.iter().find(|idle| idle.name == Way::Handler.name()).map(|idle| Verdict {
        what: "resident memory of an idle handler".into(),
        limit: format!("< {}", units::size(MOST_IDLE_KIB << 10)),
        measured: units::size(idle.fresh.rss << 10),
        is_kept: idle.fresh.rss < MOST_IDLE_KIB,
    });
    let burst = results.bursts.iter().find(|burst| burst.name == Way::Handler.name()).map(|burst| Verdict {
        what: format!("whole dumps of {} programs that crash within one second", burst.programs),
        limit: burst.programs.to_string(),
        measured: burst.whole.to_string(),
        is_kept: burst.whole == burst.programs && burst.crashes_us <= BURST_US,
    });
    exits.chain(start).chain(idle).chain(burst).collect()
}

fn of(case: &CaseResults, wanted: Way) -> Option<&WayResults> {
    case.ways.iter().find(|way| way.name == wanted.name())
}

fn names(results: &CrashResults) -> Vec<String> {
    let ways = results.cases.first().into_iter().flat_map(|case| &case.ways);
    ways.map(|way| way.name.clone()).collect()
}

fn both(median: u64, least: u64) -> String {
    format!("{} ({})", units::time(median), units::time(least))
}

/// A table in Markdown.
fn table(heads: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = "--:|".repeat(heads.len().saturating_sub(1));
    let mut text = format!("| {} |\n|---|{line}\n", heads.join(" | "));
    for row in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}
