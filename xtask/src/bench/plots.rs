//! The pictures of the report.

use super::{
    results::{FLOOR, GCORE, OURS, PEER},
    summary::{CaseSummary, Summary},
    svg::{Plot, Series, draw},
    units,
};

/// The lines, by the mark and colour they have.
const LINES: [&str; 4] = [OURS, PEER, GCORE, FLOOR];
/// Threads of the targets that differ in their mappings only.
const MAPPINGS_THREADS: usize = 16;

/// Standstill against threads, of the targets that have nothing else.
pub fn threads(summary: &Summary) -> String {
    let plain = |results: &&CaseSummary| {
        let case = &results.case;
        !case.busy && !case.all_memory && case.maps == 0 && case.libraries == 0
    };
    plot(
        "Standstill of a running thread, by number of threads",
        "threads of the target",
        &summary.cases.iter().filter(plain),
        |results| results.case.threads,
    )
}

/// Standstill against mappings, of the targets with [`MAPPINGS_THREADS`] threads.
pub fn mappings(summary: &Summary) -> String {
    let mapped = |results: &&CaseSummary| {
        let case = &results.case;
        !case.busy && !case.all_memory && case.threads == MAPPINGS_THREADS && case.libraries == 0
    };
    plot(
        "Standstill of a running thread, by number of mappings (16 threads)",
        "mappings of the target",
        &summary.cases.iter().filter(mapped),
        |results| results.mappings,
    )
}

fn plot<'a>(
    title: &str,
    across: &str,
    cases: &(impl Iterator<Item = &'a CaseSummary> + Clone),
    place: fn(&CaseSummary) -> usize,
) -> String {
    let series = LINES.iter().enumerate().filter_map(|(style, name)| {
        let mut points: Vec<(u64, u64)> = cases
            .clone()
            .filter_map(|results| {
                let standstill = results.row(name)?.standstill_us;
                Some((u64::try_from(place(results)).ok()?.max(1), standstill.max(1)))
            })
            .collect();
        points.sort_unstable();
        (!points.is_empty()).then(|| Series { name: (*name).to_owned(), style, points })
    });
    draw(&Plot {
        title,
        across,
        across_text: units::count,
        up_text: units::round_time,
        series: series.collect(),
    })
}
