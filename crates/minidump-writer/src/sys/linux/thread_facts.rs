//! What /proc tells of a thread besides its registers.
#![allow(unsafe_code)]

use super::proc_fs::Stat;
use super::system::{boot_time_us, ticks_per_second};
use crate::snapshot::{Thread, ThreadTimes};
use libc::pid_t;
use std::fs::File;
use std::io;

/// Turns clock ticks into microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    ticks_per_second: u64,
    boot_us: Option<u64>,
}

impl Clock {
    /// The clock of this machine.
    pub fn new() -> Self {
        Self { ticks_per_second: ticks_per_second(), boot_us: boot_time_us() }
    }

    /// A duration in ticks, in microseconds.
    pub fn duration_us(self, ticks: u64) -> u64 {
        let us = u128::from(ticks) * 1_000_000 / u128::from(self.ticks_per_second.max(1));
        u64::try_from(us).unwrap_or(u64::MAX)
    }

    /// A time in ticks since boot, in microseconds since 1970.
    pub fn time_us(self, ticks: u64) -> Option<u64> {
        self.boot_us?.checked_add(self.duration_us(ticks))
    }
}

/// Facts of one thread.
#[derive(Debug, Clone)]
pub struct ThreadFacts {
    tid: pid_t,
    stat: Stat,
    affinity: Option<u64>,
}

impl ThreadFacts {
    /// Reads them. One file tells all but the affinity. `tasks` is /proc/PID/task.
    pub fn read(tasks: &File, tid: pid_t) -> io::Result<Self> {
        Ok(Self { tid, stat: Stat::of_thread(tasks, tid)?, affinity: affinity(tid) })
    }

    /// Puts the facts into `thread`.
    pub fn fill(self, thread: &mut Thread, clock: Clock) {
        thread.name = Some(self.stat.name);
        thread.state = Some(self.stat.state);
        thread.priority = Some(self.stat.priority);
        thread.affinity = self.affinity;
        thread.times = clock.time_us(self.stat.start).map(|start_us| ThreadTimes {
            start_us,
            user_us: clock.duration_us(self.stat.user),
            kernel_us: clock.duration_us(self.stat.kernel),
        });
    }
}

/// Facts of many threads, found by id.
#[derive(Debug, Default)]
pub struct ThreadTable(Vec<ThreadFacts>);

impl ThreadTable {
    /// Reads the facts of `tids`; threads that have gone are left out.
    pub fn read(tasks: &File, tids: &[pid_t]) -> Self {
        let mut facts: Vec<_> = tids.iter().filter_map(|tid| ThreadFacts::read(tasks, *tid).ok()).collect();
        facts.sort_unstable_by_key(|facts| facts.tid);
        Self(facts)
    }

    /// Whether the thread slept, rather than ran or waited for a processor.
    pub fn sleeps(&self, tid: pid_t) -> bool {
        self.get(tid).is_some_and(|facts| facts.stat.state != 'R')
    }

    /// The facts of one thread.
    pub fn get(&self, tid: pid_t) -> Option<&ThreadFacts> {
        self.0.get(self.0.binary_search_by_key(&tid, |facts| facts.tid).ok()?)
    }

    /// How many threads there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The first 64 bits of a thread's affinity mask.
fn affinity(tid: pid_t) -> Option<u64> {
    let mut mask = [0_u64; 128];
    // SAFETY: the mask is live and as long as said. The kernel wants room for all processors it could have, up to
    // 8192; with less it fails and writes nothing.
    let size =
        unsafe { libc::syscall(libc::SYS_sched_getaffinity, tid, size_of_val(&mask), mask.as_mut_ptr()) };
    (size > 0).then(|| mask.first().copied()).flatten()
}
