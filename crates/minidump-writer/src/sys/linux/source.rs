//! Where the bytes of a capture come from.

use super::arena::Arena;
use super::memory::ProcessMemory;
use super::tracer::Expired;
use crate::snapshot::{MemoryPlan, MemorySource, ReadEnd, ReadOutcome};

/// Memory of a captured process.
#[derive(Debug)]
pub enum Source {
    /// Copied while the process stood still.
    Arena(Arena),
    /// Read from the process that still stands, or from its copy.
    Process {
        /// Its memory.
        memory: ProcessMemory,
        /// Set when it no longer stands, so that its memory must not be read any more.
        expired: Expired,
    },
}

impl Source {
    /// Whether every byte of `plan` is known to be there.
    pub fn holds(&self, plan: &MemoryPlan) -> bool {
        match self {
            Self::Arena(arena) => arena.holds(plan),
            Self::Process { .. } => false,
        }
    }
}

impl MemorySource for Source {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        match self {
            Self::Arena(arena) => arena.read(address, buffer),
            Self::Process { expired, .. } if expired.is_set() => ReadOutcome { done: 0, end: ReadEnd::Gone },
            Self::Process { memory, expired } => {
                let outcome = memory.read(address, buffer);
                // It may have been let go during the read: then the bytes are not of one instant.
                if expired.is_set() { ReadOutcome { done: 0, end: ReadEnd::Gone } } else { outcome }
            }
        }
    }
}
