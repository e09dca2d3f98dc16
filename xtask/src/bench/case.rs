//! What is measured.

use crate::shell::Outcome;
use serde::{Deserialize, Serialize};

/// A shape of target process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its name in the tables.
    pub name: String,
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
    /// Is all memory dumped?
    pub all_memory: bool,
    /// Is it held to limits, or only another point of a plot?
    pub judged: bool,
}

/// Cases, and how often to repeat them.
#[derive(Debug)]
pub struct Plan {
    /// What the command line calls it.
    pub name: &'static str,
    pub cases: Vec<Case>,
    pub rounds: usize,
    /// May a slow result fail the command? Memory is judged always.
    pub timed: bool,
    /// Do programs take part that are slow, or that have to be installed first?
    pub thorough: bool,
}

/// Rounds in which a program takes part that takes a hundred times as long as the others, or a dump of all memory.
pub const FEW_ROUNDS: usize = 3;

fn threads(name: &str, threads: usize) -> Case {
    let (maps, libraries, heap_mib) = (0, 0, 16);
    let name = name.to_owned();
    Case { name, threads, maps, libraries, heap_mib, busy: false, all_memory: false, judged: true }
}

fn full_cases() -> Vec<Case> {
    vec![
        threads("2 threads", 2),
        threads("16 threads", 16),
        threads("128 threads", 128),
        threads("1024 threads", 1024),
        Case { maps: 5000, ..threads("16 threads, 5000 mappings", 16) },
        Case { busy: true, ..threads("64 busy threads", 64) },
        Case { libraries: 500, ..threads("16 threads, 500 libraries", 16) },
        Case { maps: 5000, libraries: 500, heap_mib: 1 << 10, ..threads("all of it, 1 GiB of heap", 1024) },
        Case { maps: 500, judged: false, ..threads("16 threads, 500 mappings", 16) },
        Case { maps: 20_000, judged: false, ..threads("16 threads, 20000 mappings", 16) },
        Case { heap_mib: 4 << 10, all_memory: true, ..threads("all memory, 4 GiB of heap", 16) },
    ]
}

/// How many of the full cases the quick plan takes.
const QUICK: usize = 5;
/// How many the smoke plan takes: up to the one with many threads.
const SMOKE: usize = 4;

impl Plan {
    /// The plan of this name.
    pub fn named(name: &str) -> Outcome<Self> {
        let all = full_cases();
        let first = |count| all.iter().take(count).cloned().collect();
        Ok(match name {
            "quick" => Self { name: "quick", cases: first(QUICK), rounds: 9, timed: true, thorough: false },
            "full" => Self { name: "full", cases: all, rounds: 15, timed: true, thorough: true },
            // For unattended checks, on machines whose load nobody knows.
            "smoke" => Self { name: "smoke", cases: first(SMOKE), rounds: 1, timed: false, thorough: false },
            _ => {
                let plans = "quick, full, smoke, memory or report";
                return Err(format!("there is no bench '{name}': it is {plans}").into());
            }
        })
    }
}

impl Case {
    /// A process with this much heap, all of which is dumped.
    pub fn memory(heap_mib: usize) -> Self {
        let name = format!("all memory, {heap_mib} MiB of heap");
        Self { name, heap_mib, all_memory: true, ..threads("", 16) }
    }

    /// The case as arguments for `bench-target`.
    pub fn arguments(&self) -> [String; 5] {
        [self.threads, self.maps, self.libraries, self.heap_mib, usize::from(self.busy)]
            .map(|number| number.to_string())
    }
}
