//! Many programs that crash within one second.

use super::{
    crasher::{Crasher, End},
    dumps, fresh,
    results::BurstResults,
    service::Service,
    way::{Programs, Way},
};
use crate::{bench::machine, shell::Outcome};
use std::{path::Path, time::Duration};

/// How many, with how many threads, and how much that is live of each stack, in KiB.
const PROGRAMS: usize = 256;
const THREADS: usize = 2;
const LIVE_KIB: usize = 6 << 10;
/// What must be left beside their stacks, in MiB.
const SPARE_MIB: u64 = 2 << 10;

/// Has one handler of each kind dump all of them.
pub fn measure(programs: &Programs, folder: &Path) -> Outcome<Vec<BurstResults>> {
    let needed = u64::try_from(PROGRAMS * THREADS * LIVE_KIB).unwrap_or(u64::MAX) >> 10;
    if machine::available_mib() < needed + SPARE_MIB {
        return Err(format!("{PROGRAMS} programs with such stacks need {needed} MiB of memory").into());
    }
    [Way::Handler, Way::Peer].into_iter().map(|way| of(way, programs, folder)).collect()
}

fn of(way: Way, programs: &Programs, folder: &Path) -> Outcome<BurstResults> {
    let folder = fresh(folder, "burst")?;
    let service = Service::start(way, programs, &folder)?;
    let start = |_| Crasher::start(service.client(programs, THREADS, LIVE_KIB));
    let mut crashers: Vec<Crasher> = (0..PROGRAMS).map(start).collect::<Outcome<_>>()?;
    for crasher in &mut crashers {
        crasher.tell()?;
    }
    let ends: Vec<End> = crashers.into_iter().map(Crasher::wait).collect::<Outcome<_>>()?;
    let crashes = || ends.iter().map(|end| end.crashed);
    let first = crashes().min().unwrap_or_default();
    let last = crashes().max().unwrap_or_default();
    let end = ends.iter().map(|end| end.at).max().unwrap_or_default();
    let found = dumps::list(&way.dumps(&folder))?;
    let threads = THREADS + service.own_threads();
    let whole: Vec<u64> =
        found.iter().filter_map(|dump| dumps::check(dump, threads, way.source()).ok()).collect();
    let peak = service.stop()?;
    println!("{}: {} of {PROGRAMS} dumps are whole", way.name(), whole.len());
    Ok(BurstResults {
        name: way.name().to_owned(),
        programs: PROGRAMS,
        threads: THREADS,
        live_kib: LIVE_KIB,
        crashes_us: us(last.saturating_sub(first)),
        all_us: us(end.saturating_sub(first)),
        whole: whole.len(),
        bytes: whole.iter().sum(),
        peak_kib: peak >> 10,
    })
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
