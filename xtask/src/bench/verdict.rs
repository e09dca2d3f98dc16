//! What the bench does not accept.

use super::{
    case::Case,
    sample::{Round, Sample, median},
};

/// A case with at least this many threads is held to the memory limit.
const MANY_THREADS: usize = 1024;
/// Memory the dumper may hold beyond the size of the dump, in bytes.
const ALLOWANCE: u64 = 8 << 20;

/// One sentence for each broken promise; those about time only if `timed`.
pub fn complaints(results: &[(Case, Vec<Round>)], timed: bool) -> Vec<String> {
    let judge = |(case, rounds): &(Case, Vec<Round>)| {
        let slow = if timed { slow(case, rounds) } else { None };
        slow.into_iter().chain(heavy(case, rounds))
    };
    results.iter().flat_map(judge).collect()
}

fn slow(case: &Case, rounds: &[Round]) -> Option<String> {
    let ours = median(rounds.iter().map(|round| round.dumps.ours.standstill));
    let peer = median(rounds.iter().map(|round| round.dumps.peer.standstill));
    (ours > peer).then(|| {
        format!(
            "SLOWER: {}: our dump stops the target for {} us, the published crate's for {} us",
            case.name,
            ours.as_micros(),
            peer.as_micros()
        )
    })
}

fn heavy(case: &Case, rounds: &[Round]) -> Option<String> {
    let heaviest = rounds.iter().map(|round| &round.dumps.ours).max_by_key(|sample| sample.peak_rss);
    let sample = heaviest.filter(|sample| case.threads >= MANY_THREADS && is_heavy(sample))?;
    Some(format!(
        "TOO MUCH MEMORY: {}: {} KiB at the peak for a dump of {} KiB",
        case.name,
        sample.peak_rss >> 10,
        sample.bytes >> 10
    ))
}

fn is_heavy(sample: &Sample) -> bool {
    sample.peak_rss > sample.bytes.saturating_add(ALLOWANCE)
}

#[cfg(test)]
mod tests {
    use super::complaints;
    use crate::bench::{
        case::{Case, Plan},
        sample::{Pair, Round, Sample},
    };
    use std::time::Duration;

    fn sample(standstill_us: u64, peak_rss: u64) -> Sample {
        let time = Duration::from_micros(standstill_us);
        Sample {
            standstill: time,
            stopped_in_all: time,
            wall: time,
            cpu: time,
            peak_rss,
            bytes: 10 << 20,
            threads: 2,
            said: String::new(),
        }
    }

    fn results(threads: usize, ours: [u64; 3], peer: u64, peak_rss: u64) -> Vec<(Case, Vec<Round>)> {
        let case = Case { threads, ..Plan::named("quick").unwrap().cases[0] };
        let round = |us| Round {
            dumps: Pair { ours: sample(us, peak_rss), peer: sample(peer, 0) },
            noise: Duration::ZERO,
        };
        vec![(case, ours.map(round).to_vec())]
    }

    #[test]
    fn a_faster_dump_is_accepted_and_one_outlier_does_not_change_that() {
        assert_eq!(complaints(&results(2, [10, 20, 5000], 30, 0), true), Vec::<String>::new());
    }

    #[test]
    fn a_slower_dump_is_named_with_both_times() {
        let found = complaints(&results(2, [10, 31, 32], 30, 0), true);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("2 threads") && found[0].contains("31 us") && found[0].contains("30 us"),
            "{found:?}"
        );
    }

    #[test]
    fn an_untimed_bench_does_not_mind_a_slower_dump_but_minds_memory() {
        assert_eq!(complaints(&results(2, [50; 3], 30, 0), false), Vec::<String>::new());
        assert_eq!(complaints(&results(1024, [50; 3], 30, u64::MAX), false).len(), 1);
    }

    #[test]
    fn memory_is_limited_where_there_are_many_threads() {
        let limit = (10 << 20) + (8 << 20);
        assert_eq!(complaints(&results(1024, [1; 3], 2, limit), true), Vec::<String>::new());
        assert_eq!(complaints(&results(2, [1; 3], 2, limit + 1), true), Vec::<String>::new());
        let found = complaints(&results(1024, [1; 3], 2, limit + 1), true);
        assert!(found.len() == 1 && found[0].starts_with("TOO MUCH MEMORY"), "{found:?}");
    }
}
