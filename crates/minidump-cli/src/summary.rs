//! What is said about a finished dump: one JSON object, or a line on standard error.

use crate::exit::Failure;
use crate::{show, text};
use minidump_writer::DumpReport;
use minidump_writer::snapshot::SoftError;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// A dump that is where it was to go.
pub struct Done {
    /// What the library says. Its size is that before compressing.
    pub report: DumpReport,
    /// Bytes at the destination.
    pub bytes: u64,
    /// Whether they are compressed.
    pub is_compressed: bool,
    /// How long all of it took.
    pub wall: Duration,
    /// Whether a live process had to stand still for it.
    pub is_live: bool,
}

/// What `--json` prints. Times in microseconds.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    path: String,
    bytes: u64,
    /// Size of the dump before it was compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    uncompressed_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_us: Option<u64>,
    wall_us: u64,
    threads: usize,
    modules: usize,
    soft_errors: &'a [SoftError],
    /// The shown dump with `--show`; null when it could not be shown.
    #[serde(skip_serializing_if = "Shown::is_not_wanted")]
    show: Shown,
}

/// The shown dump.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Shown {
    /// It was not asked for.
    NotWanted,
    /// It was asked for and failed.
    Failed(Option<()>),
    /// Here it is.
    Dump(Box<show::Dump>),
}

impl Shown {
    fn is_not_wanted(&self) -> bool {
        matches!(self, Self::NotWanted)
    }
}

/// Prints the JSON object, with the shown dump if `show`.
pub fn print(done: &Done, path: &Path, show: bool) -> Result<(), Failure> {
    let (show, failure) = match show.then(|| show::read(path)) {
        None => (Shown::NotWanted, None),
        Some(Ok(dump)) => (Shown::Dump(Box::new(dump)), None),
        Some(Err(failure)) => (Shown::Failed(None), Some(failure)),
    };
    let report = &done.report;
    let summary = Summary {
        path: path.to_string_lossy().into_owned(),
        bytes: done.bytes,
        uncompressed_bytes: done.is_compressed.then_some(report.bytes),
        stopped_us: done.is_live.then(|| microseconds(report.stopped)),
        wall_us: microseconds(done.wall),
        threads: report.threads,
        modules: report.modules,
        soft_errors: &report.soft_errors,
        show,
    };
    let line =
        text::json(&summary).map_err(|error| Failure::Failed(format!("no JSON could be made: {error}")))?;
    text::print(&(line + "\n")).map_err(|error| Failure::of_output(&error))?;
    failure.map_or(Ok(()), Err)
}

/// Says on standard error what was written where, and what is missing.
pub fn tell(done: &Done, place: &str) {
    let report = &done.report;
    for soft_error in &report.soft_errors {
        text::complain("warning", &soft_error.to_string());
    }
    text::complain("", &sentence(done, place));
}

fn sentence(done: &Done, place: &str) -> String {
    let report = &done.report;
    let before = format!(" (of {} before compressing)", text::grouped(report.bytes));
    let still = format!("; the process stood still for {}", standstill(report.stopped));
    format!(
        "wrote {place}: {}{}, {}, {}{}",
        text::counted(done.bytes, "byte"),
        if done.is_compressed { &before } else { "" },
        text::counted(report.threads as u64, "thread"),
        text::counted(report.modules as u64, "module"),
        if done.is_live { &still } else { "" },
    )
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn standstill(time: Duration) -> String {
    match microseconds(time) {
        us @ 0..10_000 => format!("{} us", text::grouped(us)),
        us => format!("{} ms", text::grouped(us / 1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standstill_is_told_in_a_fitting_unit() {
        assert_eq!(standstill(Duration::from_micros(412)), "412 us");
        assert_eq!(standstill(Duration::from_micros(9_999)), "9,999 us");
        assert_eq!(standstill(Duration::from_millis(1250)), "1,250 ms");
    }

    #[test]
    fn the_json_summary_has_the_documented_fields() {
        let mut summary = Summary {
            path: "x.dmp".into(),
            bytes: 1,
            uncompressed_bytes: None,
            stopped_us: Some(2),
            wall_us: 3,
            threads: 4,
            modules: 5,
            soft_errors: &[],
            show: Shown::NotWanted,
        };
        let expected = r#"{"path":"x.dmp","bytes":1,"stopped_us":2,"wall_us":3,"threads":4,"modules":5,"soft_errors":[]}"#;
        assert_eq!(text::json(&summary).unwrap(), expected);
        summary.show = Shown::Failed(None);
        assert!(text::json(&summary).unwrap().ends_with(r#","show":null}"#));
        summary.show = Shown::Dump(Box::default());
        assert!(text::json(&summary).unwrap().contains(r#","show":{"file":"#));
        summary.uncompressed_bytes = Some(9);
        assert!(
            text::json(&summary).unwrap().contains(r#","bytes":1,"uncompressed_bytes":9,"stopped_us":2"#)
        );
        summary.stopped_us = None;
        assert!(!text::json(&summary).unwrap().contains("stopped"));
    }
}
