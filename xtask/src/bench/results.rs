//! Everything that was measured, as `bench.json` in the target folder holds it. Times are in µs.

use super::case::Case;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The programs that take part, by the names that the results have for them.
pub const OURS: &str = "ours";
pub const PEER: &str = "published crate";
pub const GCORE: &str = "gcore";
pub const FLOOR: &str = "floor";

/// One run of the bench.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    pub plan: String,
    pub conditions: Conditions,
    pub cases: Vec<CaseResults>,
}

/// Under which conditions it ran.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Conditions {
    /// Release of the Linux kernel.
    pub kernel: String,
    /// What the processor calls itself.
    pub processor: String,
    pub processors: usize,
    pub memory_mib: u64,
    /// Did dumpers and targets run with real-time priority?
    pub real_time: bool,
}

/// One target, and what each program made of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseResults {
    pub case: Case,
    /// Mappings that the target had.
    pub mappings: usize,
    /// The longest times for which the sampler did not run although nobody dumped.
    pub noise_us: Vec<u64>,
    pub programs: Vec<ProgramResults>,
}

/// What one program did to one target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProgramResults {
    pub name: String,
    pub samples: Vec<Sample>,
    /// `None` where nobody counted.
    pub calls: Option<Calls>,
}

/// One measured dump.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sample {
    /// The longest time for which the target's sampler thread, which never waits, did not run.
    pub standstill_us: u64,
    /// All times above [`super::sampler::NOTICEABLE`] for which it did not run: more than the standstill when the target
    /// was stopped more than once.
    pub stopped_in_all_us: u64,
    /// From the first thread that was asked to stop to the last that was let go, as the dumper says. No thread stands
    /// longer than this. `None` where the dumper does not say it.
    pub longest_stop_us: Option<u64>,
    /// From starting the dumper to its end.
    pub wall_us: u64,
    /// Processor time of the dumper and its children, user and system.
    pub cpu_us: u64,
    /// Peak resident memory of the dumper; at least what the child that the harness forked has before it starts it.
    pub peak_rss_kib: u64,
    /// Size of the dump; 0 where there is none.
    pub bytes: u64,
    /// Threads in the dump, where that is easy to see.
    pub threads: Option<u32>,
    /// What the dumper printed about itself, if that was JSON.
    pub said: Value,
}

/// System calls of one dump, counted in a run that was not measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// From the start of the program to its end.
    pub all: u64,
    /// Of the tracing thread, from the first request that a thread stop to the last that one go on.
    pub in_window: u64,
}
