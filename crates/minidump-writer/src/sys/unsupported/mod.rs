//! Where there is no back end yet: compiles, and says so when asked for a dump.

use crate::snapshot::{MemoryPlan, MemorySource, ReadOutcome, Snapshot, SoftError};
use crate::{DumpOptions, Error, Pid};
use std::time::Duration;

/// Memory that was never captured.
#[derive(Debug)]
pub struct NoMemory;

impl NoMemory {
    /// What to tell of memory that could not be read while the dump was written.
    pub fn holes_note(&self, _count: u64, _bytes: u64) -> Option<SoftError> {
        None
    }
}

impl MemorySource for NoMemory {
    fn read(&self, _address: u64, _buffer: &mut [u8]) -> ReadOutcome {
        ReadOutcome::unreadable(0, None)
    }
}

/// A capture that no function of this back end returns.
#[derive(Debug)]
pub struct Capture {
    /// Facts.
    pub snapshot: Snapshot,
    /// Memory that belongs into the dump.
    pub plan: MemoryPlan,
    /// Its bytes.
    pub memory: NoMemory,
}

impl Capture {
    /// Whether `memory` holds every byte of `plan`.
    pub fn is_complete(&self) -> bool {
        false
    }

    /// Lets go of what was held for the sake of `memory`. Returns how long the target stood still.
    pub fn finish(self) -> Duration {
        Duration::ZERO
    }

    /// As [`finish`](Self::finish).
    pub fn finish_into(self, _session: &mut Session) -> Duration {
        Duration::ZERO
    }

    /// The captured process.
    pub fn pid(&self) -> Pid {
        Pid::try_from(self.snapshot.process.pid).unwrap_or_default()
    }
}

/// A session that no function of this back end returns.
#[derive(Debug)]
pub struct Session;

impl Session {
    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn open(_pid: Pid) -> Result<Self, Error> {
        Err(unsupported())
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn capture(&mut self, _options: &DumpOptions) -> Result<Capture, Error> {
        Err(unsupported())
    }
}

fn unsupported() -> Error {
    Error::Unsupported { system: std::env::consts::OS, processor: std::env::consts::ARCH }
}

/// Fails.
///
/// # Errors
/// Always.
pub fn capture(_pid: Pid, _options: &DumpOptions) -> Result<Capture, Error> {
    Err(unsupported())
}
