use minidump_snapshot::SoftError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a dump came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DumpReport {
    /// Bytes written.
    pub bytes: u64,
    /// How long the target stood still, from the first thread asked to stop to the last one let go.
    pub stopped: Duration,
    /// How long the whole took.
    pub wall: Duration,
    /// Threads in the dump.
    pub threads: usize,
    /// Modules in the dump.
    pub modules: usize,
    /// What could not be captured. The same list is in the dump.
    pub soft_errors: Vec<SoftError>,
}
