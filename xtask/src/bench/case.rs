//! What is measured.

use crate::shell::Outcome;

/// A shape of target process.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name in the table.
    pub name: &'static str,
    /// Threads of the process, with its main thread and the sampler: at least 2.
    pub threads: usize,
    /// Mappings beyond those that any process has.
    pub maps: usize,
    /// Shared libraries beyond those that any process has.
    pub libraries: usize,
    /// Memory on the heap that was written to, in MiB.
    pub heap_mib: usize,
    /// Do the threads compute instead of waiting?
    pub busy: bool,
}

/// Cases, and how often to repeat them.
#[derive(Debug)]
pub struct Plan {
    /// What the command line calls it.
    pub name: &'static str,
    pub cases: &'static [Case],
    pub rounds: usize,
    /// May a slow result fail the command? Memory is judged always.
    pub timed: bool,
}

const fn threads(name: &'static str, threads: usize) -> Case {
    Case { name, threads, maps: 0, libraries: 0, heap_mib: 16, busy: false }
}

const FULL_CASES: &[Case] = &[
    threads("2 threads", 2),
    threads("16 threads", 16),
    threads("128 threads", 128),
    threads("1024 threads", 1024),
    Case { maps: 5000, ..threads("16 threads, 5000 mappings", 16) },
    Case { busy: true, ..threads("64 busy threads", 64) },
    Case { libraries: 500, ..threads("16 threads, 500 libraries", 16) },
];
/// How many of the full cases the quick plan takes.
const QUICK: usize = 5;
/// How many the smoke plan takes: up to the one with many threads.
const SMOKE: usize = 4;

const PLANS: &[Plan] = &[
    Plan { name: "quick", cases: FULL_CASES.split_at(QUICK).0, rounds: 9, timed: true },
    Plan { name: "full", cases: FULL_CASES, rounds: 15, timed: true },
    // For unattended checks, on machines whose load nobody knows.
    Plan { name: "smoke", cases: FULL_CASES.split_at(SMOKE).0, rounds: 1, timed: false },
];

impl Plan {
    /// The plan of this name.
    pub fn named(name: &str) -> Outcome<&'static Self> {
        PLANS
            .iter()
            .find(|plan| plan.name == name)
            .ok_or_else(|| format!("there is no bench '{name}': it is quick, full or smoke").into())
    }
}

impl Case {
    /// The case as arguments for `bench-target`.
    pub fn arguments(&self) -> [String; 5] {
        [self.threads, self.maps, self.libraries, self.heap_mib, usize::from(self.busy)]
            .map(|number| number.to_string())
    }
}
