//! What a handler costs that has nothing to do.

use super::{
    crasher::Crasher,
    dumps, fresh,
    results::{IdleResults, Memory},
    service::Service,
    way::{Programs, Way},
};
use crate::shell::{Doing, Outcome};
use std::{fs, path::Path, thread, time::Duration};

/// Between what a handler did last and the look at it.
const REST: Duration = Duration::from_secs(1);
/// The program that it dumps in between.
const THREADS: usize = 16;
const LIVE_KIB: usize = 16;

/// Looks at both handlers.
pub fn measure(programs: &Programs, folder: &Path) -> Outcome<Vec<IdleResults>> {
    [Way::Handler, Way::Peer].into_iter().map(|way| of(way, programs, folder)).collect()
}

fn of(way: Way, programs: &Programs, folder: &Path) -> Outcome<IdleResults> {
    let folder = fresh(folder, "idle")?;
    let service = Service::start(way, programs, &folder)?;
    thread::sleep(REST);
    let fresh = memory(service.id())?;
    let mut crasher = Crasher::start(service.client(programs, THREADS, LIVE_KIB))?;
    let threads = THREADS + service.own_threads();
    crasher.tell()?;
    crasher.wait()?;
    dumps::check_one(way, &folder, threads)?;
    thread::sleep(REST);
    let used = memory(service.id())?;
    service.stop()?;
    Ok(IdleResults { name: way.name().to_owned(), fresh, used })
}

/// Of a process, from `/proc/PID/smaps_rollup` (proc_pid_smaps(5)).
fn memory(pid: u32) -> Outcome<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).doing(format_args!("could not read {path}"))?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
    };
    let private = value("Private_Clean") + value("Private_Dirty");
    Ok(Memory { rss: value("Rss"), pss: value("Pss"), private })
}
