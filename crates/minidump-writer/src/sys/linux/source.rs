//! Where the bytes of a capture come from.

use super::arena::Arena;
use super::hold::HeldMemory;
use super::tracer::Expired;
use crate::snapshot::{MemoryPlan, MemorySource, ReadEnd, ReadOutcome, SoftError, Stage};

/// Memory of a captured process.
#[derive(Debug)]
pub enum Source {
    /// Copied while the process stood still.
    Arena(Arena),
    /// Read from the process that still stands, or from its copy.
    Held {
        /// Its memory.
        memory: HeldMemory,
        /// What it does not have.
        copied: Arena,
        /// Set when it no longer stands, so that its memory must not be read any more.
        expired: Expired,
    },
}

impl Source {
    /// Whether every byte of `plan` is known to be there.
    pub fn holds(&self, plan: &MemoryPlan) -> bool {
        match self {
            Self::Arena(arena) => arena.holds(plan),
            Self::Held { .. } => false,
        }
    }
}

impl Source {
    /// What was copied of it.
    pub fn into_arena(self) -> Arena {
        match self {
            Self::Arena(arena) | Self::Held { copied: arena, .. } => arena,
        }
    }

    /// What to tell of memory that could not be read while the dump was written, when its list of soft errors was
    /// finished: the file has it in its table of holes.
    pub fn holes_note(&self, count: u64, bytes: u64) -> Option<SoftError> {
        let Self::Held { expired, .. } = self else { return None };
        let why = if expired.is_set() {
            "the process had to be let go before all was read"
        } else {
            "it could not be read"
        };
        let message = format!(
            "{bytes} bytes of memory in {count} places are missing, as {why}; the dump has their list"
        );
        (count > 0).then(|| SoftError::new(Stage::Memory, message))
    }
}

impl MemorySource for Source {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        match self {
            Self::Arena(arena) => arena.read(address, buffer),
            Self::Held { expired, .. } if expired.is_set() => ReadOutcome { done: 0, end: ReadEnd::Gone },
            Self::Held { memory, copied, expired } => {
                let outcome = read_held(memory, copied, address, buffer);
                // It may have been let go during the read: then the bytes are not of one instant.
                if expired.is_set() { ReadOutcome { done: 0, end: ReadEnd::Gone } } else { outcome }
            }
        }
    }

    fn slice(&self, address: u64, size: usize) -> &[u8] {
        match self {
            Self::Arena(arena) => arena.slice(address, size),
            Self::Held { .. } => &[],
        }
    }
}

/// Reads from the process, but for what only the copy has.
fn read_held(memory: &HeldMemory, copied: &Arena, address: u64, buffer: &mut [u8]) -> ReadOutcome {
    let mut done = 0;
    loop {
        let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) else {
            return ReadOutcome::complete(done);
        };
        let Some(at) = address.checked_add(done as u64) else { return ReadOutcome::unreadable(done, None) };
        let next = memory.copied.partition_point(|(_, end)| *end <= at);
        let (source, end): (&dyn MemorySource, u64) = match memory.copied.get(next) {
            Some((start, end)) if *start <= at => (copied, *end),
            Some((start, _)) => (&memory.process, *start),
            None => (&memory.process, u64::MAX),
        };
        let size = usize::try_from(end - at).unwrap_or(usize::MAX).min(rest.len());
        let outcome = source.read(at, rest.get_mut(..size).unwrap_or_default());
        done += outcome.done.min(size);
        if outcome.done < size {
            return ReadOutcome { done, ..outcome };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::ProcessMemory;
    use super::*;
    use crate::snapshot::{BufferSource, MemoryPlan, PlannedRange, Purpose};

    fn own_memory() -> ProcessMemory {
        ProcessMemory::new(libc::pid_t::try_from(std::process::id()).unwrap(), None, false)
    }

    #[test]
    fn what_the_process_lacks_is_read_from_the_copy_and_the_rest_from_the_process() {
        let bytes: Vec<u8> = (0..64).collect();
        let address = bytes.as_ptr() as u64;
        let mut source = BufferSource::new();
        assert!(source.insert(address + 16, vec![0xee; 16]));
        let mut arena = Arena::new(16).unwrap();
        let range = PlannedRange { start: address + 16, size: 16, purpose: Purpose::Full };
        arena
            .copy(&MemoryPlan::from_ranges(vec![range], Vec::new()), &source, 4096, &mut Vec::new())
            .unwrap();
        // Of the second range nothing was copied.
        let copied = vec![(address + 16, address + 32), (address + 48, address + 56)];
        let memory = HeldMemory { process: own_memory(), copied };
        let mut buffer = [0; 64];
        let outcome = read_held(&memory, &arena, address, &mut buffer);
        assert_eq!(outcome, ReadOutcome::unreadable(48, None));
        assert_eq!(buffer[..16], bytes[..16]);
        assert_eq!(buffer[16..32], [0xee; 16]);
        assert_eq!(buffer[32..48], bytes[32..48]);
        assert_eq!(read_held(&memory, &arena, address + 56, &mut buffer[..8]), ReadOutcome::complete(8));
    }
}
