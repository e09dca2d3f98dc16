use super::text;
use crate::bench::{
    case::Plan,
    plots,
    results::{Calls, Conditions, FLOOR, GCORE, OURS, PEER},
    summary::{CaseSummary, Row, Summary},
};

/// A run of the full plan in which a program's standstill is 1 ms times its place in the list.
fn summary() -> Summary {
    let row = |(place, name): (u64, &str)| Row {
        name: name.into(),
        rounds: 5,
        standstill_us: place * 1000,
        least_standstill_us: place * 900,
        longest_stop_us: (name == OURS).then_some(1500),
        wall_us: 20_000,
        cpu_us: 7,
        peak_rss_kib: 2048,
        bytes: 3 << 20,
        threads: None,
        calls: (name == OURS).then_some(Calls { all: 12_345, in_window: 32 }),
    };
    let cases = Plan::named("full").unwrap().cases.into_iter().map(|case| {
        let rows = (1..).zip([OURS, PEER, GCORE, FLOOR]).map(row).collect();
        CaseSummary { mappings: 100 + case.maps, case, noise_us: 3, rows }
    });
    let conditions = Conditions { kernel: "6.18".into(), processor: "A CPU".into(), ..Conditions::default() };
    Summary { plan: "full".into(), conditions, cases: cases.collect() }
}

#[test]
fn every_place_in_the_text_is_filled() {
    let text = text(&summary());
    assert!(!text.contains("{{") && !text.contains("}}"), "{text}");
    assert!(text.contains("(A CPU)") && text.contains("Linux 6.18."), "{text}");
}

#[test]
fn a_line_of_each_table_has_the_numbers_of_its_target() {
    let text = text(&summary());
    for line in [
        "| 16 threads | 1.00 ms (900 µs) | 2.00 ms (1.80 ms) | 3.00 ms (2.70 ms) | 4.00 ms (3.60 ms) | 0.50 | 0.25 |",
        "| 16 threads | 1.50 ms | 2.00 ms | 3.00 ms | 4.00 ms | 0.75 | 0.38 |",
        "| 16 threads | ours | 20.0 ms | 7 µs | 2.00 MiB | 3.00 MiB | 12,345 | 2.00 |",
        "|  | published crate | 20.0 ms | 7 µs | 2.00 MiB | 3.00 MiB | not counted | – |",
        "| 16 threads | standstill / published crate | 0.15 | 0.50 | MISSED |",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn the_pictures_have_a_line_for_each_program_and_a_point_for_each_target() {
    let threads = plots::threads(&summary());
    let mappings = plots::mappings(&summary());
    for picture in [&threads, &mappings] {
        assert_eq!(picture.matches("<polyline").count(), 4, "{picture}");
        // 2, 16, 128, 1024 threads, or 100, 600, 5100, 20100 mappings, and one in the legend.
        assert_eq!(picture.matches("<circle").count(), 5, "{picture}");
        assert!(picture.contains(">published crate: 2 ms</text>"), "{picture}");
    }
    assert!(mappings.contains(">10,000</text>") && threads.contains(">1,000</text>"));
}
