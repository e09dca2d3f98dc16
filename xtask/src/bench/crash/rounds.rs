//! Programs with some number of threads, one crash after the other.

use super::{
    WAYS,
    crasher::Crasher,
    dumps, fresh, orphans,
    results::{CaseResults, Times, WayResults},
    way::{Programs, Way},
};
use crate::shell::Outcome;
use std::{path::Path, thread, time::Duration};

/// Between a program that is ready and its crash: what it has started is idle then.
const SETTLE: Duration = Duration::from_millis(150);

/// What was measured of one way.
#[derive(Debug, Default)]
struct Samples {
    exit: Vec<Duration>,
    start: Vec<Duration>,
    bytes: u64,
}

/// Has all ways take turns. One round before the first warms up what they read.
pub fn measure(
    programs: &Programs,
    folder: &Path,
    threads: usize,
    live_kib: usize,
    rounds: usize,
) -> Outcome<CaseResults> {
    let mut samples = WAYS.map(|_| Samples::default());
    for round in 0..=rounds {
        for turn in 0..WAYS.len() {
            // Who begins changes.
            let index = (round + turn) % WAYS.len();
            let (Some(way), Some(samples)) = (WAYS.get(index), samples.get_mut(index)) else { continue };
            let (exit, start, bytes) = crash_once(*way, programs, folder, threads, live_kib)?;
            if round > 0 {
                samples.exit.push(exit);
                samples.start.push(start);
                samples.bytes = bytes;
            }
        }
    }
    let ways = WAYS.iter().zip(samples).map(|(way, samples)| WayResults {
        name: way.name().to_owned(),
        exit_us: Times::of(samples.exit),
        start_us: Times::of(samples.start),
        bytes: samples.bytes,
    });
    Ok(CaseResults { threads, live_kib, ways: ways.collect() })
}

/// From crash to exit, what the start of its protection took, and the bytes of the dump.
fn crash_once(
    way: Way,
    programs: &Programs,
    folder: &Path,
    threads: usize,
    live_kib: usize,
) -> Outcome<(Duration, Duration, u64)> {
    let folder = fresh(folder, "round")?;
    let mut crasher = Crasher::start(way.command(programs, threads, live_kib, &folder))?;
    let start = crasher.start;
    thread::sleep(SETTLE);
    crasher.tell()?;
    let end = crasher.wait()?;
    orphans::wait()?;
    let bytes = dumps::check_one(way, &folder, threads + way.own_threads())?;
    Ok((end.took, start, bytes))
}
