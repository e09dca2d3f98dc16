use super::{complaints, table, verdicts};
use crate::bench::{
    case::{Case, Plan},
    results::{Calls, Conditions, FLOOR, OURS, PEER},
    summary::{CaseSummary, Row, Summary},
};

fn plan(name: &str) -> Plan {
    Plan::named(name).unwrap()
}

fn row(name: &str, standstill_us: u64, wall_us: u64, peak_rss_kib: u64, in_window: Option<u64>) -> Row {
    Row {
        name: name.into(),
        rounds: 1,
        standstill_us,
        least_standstill_us: standstill_us,
        longest_stop_us: None,
        wall_us,
        cpu_us: 0,
        peak_rss_kib,
        bytes: 10 << 20,
        threads: None,
        calls: in_window.map(|in_window| Calls { all: in_window, in_window }),
    }
}

fn summary(case: &Case, rows: Vec<Row>) -> Summary {
    let case = CaseSummary { case: case.clone(), mappings: 0, noise_us: 0, rows };
    Summary { plan: "full".into(), conditions: Conditions::default(), cases: vec![case] }
}

fn case(threads: usize) -> Case {
    plan("full").cases.iter().find(|case| case.threads == threads).unwrap().clone()
}

/// What exactly meets every limit for this share of the peer's standstill of 1000 us.
fn just_met(standstill: u64) -> Vec<Row> {
    let floor = standstill * 2 / 3;
    vec![
        row(OURS, standstill, 2000, 9000, Some(6 * 1024)),
        row(PEER, 1000, 4000, 9000, None),
        row(FLOOR, floor, 0, 0, None),
    ]
}

#[test]
fn limits_that_are_just_met_are_met_and_listed() {
    let summary = summary(&case(1024), just_met(219));
    let met: Vec<_> = verdicts(&summary).into_iter().map(|verdict| (verdict.what, verdict.met)).collect();
    assert_eq!(
        met,
        [
            ("standstill / published crate", Some(true)),
            ("standstill / floor", Some(true)),
            ("wall time / published crate", Some(true)),
            ("peak memory / published crate", Some(true)),
            ("system calls per thread in the window", Some(true)),
        ]
    );
    assert_eq!(complaints(&summary, &plan("full")), Vec::<String>::new());
}

#[test]
fn the_limit_of_the_standstill_depends_on_the_shape_of_the_target() {
    let limits: Vec<String> = plan("full")
        .cases
        .iter()
        .filter(|case| case.judged && !case.all_memory)
        .map(|case| verdicts(&summary(case, just_met(1)))[0].limit.clone())
        .collect();
    assert_eq!(limits, ["0.15", "0.15", "0.22", "0.22", "0.25", "0.50", "0.25", "0.25"]);
}

#[test]
fn a_missed_limit_is_a_sentence_with_both_numbers() {
    let mut rows = just_met(219);
    rows[0].calls = Some(Calls { all: 9000, in_window: 7 * 1024 });
    rows[0].wall_us = 2100;
    let summary = summary(&case(1024), rows);
    assert_eq!(
        complaints(&summary, &plan("full")),
        [
            "MISSED: 1024 threads: wall time / published crate is 0.53, the limit is 0.50",
            "MISSED: 1024 threads: system calls per thread in the window is 7.00, the limit is 6.00",
        ]
    );
    let table = table(&verdicts(&summary));
    assert_eq!(table.matches("MISSED").count(), 2, "{table}");
    assert_eq!(table.matches("  met\n").count(), 3, "{table}");
}

#[test]
fn a_small_process_has_a_limit_in_time_and_none_in_calls() {
    let found = verdicts(&summary(&case(2), just_met(149)));
    let last = found.last().unwrap();
    assert_eq!((last.what, last.limit.as_str(), last.measured.as_str()), ("wall time", "5000 us", "2000 us"));
    assert!(found.iter().all(|verdict| !verdict.what.contains("calls")));
}

#[test]
fn what_was_not_measured_is_neither_met_nor_missed() {
    let mut rows = just_met(219);
    rows.truncate(1);
    rows[0].calls = None;
    let summary = summary(&case(1024), rows);
    assert!(verdicts(&summary).iter().all(|verdict| verdict.met.is_none() && verdict.word() == "-"));
    assert_eq!(complaints(&summary, &plan("full")), Vec::<String>::new());
}

#[test]
fn the_quick_plan_minds_only_who_is_slower() {
    let pair = |ours| vec![row(OURS, ours, 9, 9, None), row(PEER, 30, 1, 1, None)];
    assert_eq!(complaints(&summary(&case(2), pair(30)), &plan("quick")), Vec::<String>::new());
    let found = complaints(&summary(&case(2), pair(31)), &plan("quick"));
    assert!(found.len() == 1 && found[0].contains("31 us") && found[0].contains("30 us"), "{found:?}");
}

#[test]
fn every_plan_limits_memory_where_there_are_many_threads_and_smoke_nothing_else() {
    let limit = (10 << 10) + (8 << 10);
    let heavy = |threads, kib| {
        let rows = vec![row(OURS, 50, 9, kib, None), row(PEER, 30, 1, 1, None)];
        complaints(&summary(&case(threads), rows), &plan("smoke"))
    };
    assert_eq!(heavy(1024, limit), Vec::<String>::new());
    assert_eq!(heavy(2, limit + 1), Vec::<String>::new());
    let found = heavy(1024, limit + 1);
    assert!(found.len() == 1 && found[0].starts_with("TOO MUCH MEMORY"), "{found:?}");
}
