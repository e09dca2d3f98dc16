//! Where the bytes of a capture come from.

use super::as_before::AsBefore;
use super::clone::ProcessClone;
use super::copied::Copied;
use super::hold::Hold;
use super::memory::ProcessMemory;
use crate::snapshot::{MemoryPlan, MemorySource, ReadEnd, ReadOutcome, Region, SoftError, Stage};
use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Memory of a captured process.
#[derive(Debug)]
pub enum Source {
    /// Copied while the process stood still.
    Copied(Copied),
    /// Read from the process, which still stands.
    Held(Held),
    /// Read from a clone of the process, which runs on.
    Cloned(Cloned),
}

impl Source {
    /// Whether every byte of `plan` is known to be there.
    pub fn holds(&self, plan: &MemoryPlan) -> bool {
        match self {
            Self::Copied(copied) => copied.holds(plan),
            Self::Held(_) | Self::Cloned(_) => false,
        }
    }

    /// What to tell of memory that could not be read while the dump was written, when its list of soft errors was
    /// finished: the file has it in its table of holes.
    pub fn holes_note(&self, count: u64, bytes: u64) -> Option<SoftError> {
        let why = match self {
            Self::Copied(_) => return None,
            Self::Held(held) if held.shared.is_over() => "the process had to be let go before all was read",
            Self::Held(_) | Self::Cloned(_) => "it could not be read",
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
            Self::Copied(copied) => copied.read(address, buffer),
            Self::Held(held) => held.read(address, buffer),
            Self::Cloned(clone) => clone.read(address, buffer),
        }
    }

    fn slice(&self, address: u64, size: usize) -> &[u8] {
        match self {
            Self::Copied(copied) => copied.slice(address, size),
            Self::Held(_) | Self::Cloned(_) => &[],
        }
    }
}

/// A clone of a process, made while that stood still.
#[derive(Debug)]
pub struct Cloned {
    memory: ProcessMemory,
    flags: AsBefore,
    #[expect(dead_code, reason = "ends when this is dropped")]
    clone: ProcessClone,
}

impl Cloned {
    /// The memory of `clone`, whose process has the memory map `regions`.
    pub fn new(clone: ProcessClone, flags: AsBefore, regions: &[Region]) -> io::Result<Self> {
        let process = Arc::new(clone.handle().try_clone_to_owned()?);
        Ok(Self { memory: ProcessMemory::new(process, regions), flags, clone })
    }

    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let outcome = self.memory.read(address, buffer);
        self.flags.put(address, buffer.get_mut(..outcome.done).unwrap_or_default());
        outcome
    }
}

/// A process that stands still while its memory is written, or until a limit.
#[derive(Debug)]
pub struct Held {
    memory: ProcessMemory,
    flags: AsBefore,
    shared: Arc<Shared>,
    /// Dropped when the process need not stand any more: the thread that looks at the limit then ends.
    _until: Sender<()>,
}

#[derive(Debug)]
struct Shared {
    since: Instant,
    hold: Mutex<Option<Hold>>,
    /// How long the process stood still; set as soon as it does not any more.
    stopped: OnceLock<Duration>,
}

impl Shared {
    fn is_over(&self) -> bool {
        self.stopped.get().is_some()
    }

    /// Lets the process go. Whatever is read from then on is not of the instant of the capture.
    fn release(&self) -> Duration {
        let stopped = *self.stopped.get_or_init(|| self.since.elapsed());
        drop(self.hold.lock().unwrap_or_else(PoisonError::into_inner).take());
        stopped
    }
}

impl Held {
    /// Keeps `hold`, which began at `since`, for `limit` from then on at most.
    pub fn new(
        memory: ProcessMemory,
        flags: AsBefore,
        hold: Hold,
        since: Instant,
        limit: Duration,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { since, hold: Mutex::new(Some(hold)), stopped: OnceLock::new() });
        let (sender, receiver) = mpsc::channel::<()>();
        let watched = Arc::clone(&shared);
        let left = limit.saturating_sub(since.elapsed());
        // The output may block for ever, so that nothing is read and nobody looks at the time.
        thread::Builder::new().name("hold-limit".to_owned()).spawn(move || {
            if receiver.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
                watched.release();
            }
        })?;
        Ok(Self { memory, flags, shared, _until: sender })
    }

    /// Lets the process go, if that has not happened. Returns how long it stood still.
    pub fn finish(&self) -> Duration {
        self.shared.release()
    }

    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        if self.shared.is_over() {
            return ReadOutcome { done: 0, end: ReadEnd::Gone };
        }
        let outcome = self.memory.read(address, buffer);
        self.flags.put(address, buffer.get_mut(..outcome.done).unwrap_or_default());
        // It may have been let go during the read: then the bytes are not of one instant.
        if self.shared.is_over() { ReadOutcome { done: 0, end: ReadEnd::Gone } } else { outcome }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.release();
    }
}
