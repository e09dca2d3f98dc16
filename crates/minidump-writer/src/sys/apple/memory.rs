//! Memory of a capture, and the task that it may be read from while the dump is written.

use super::task::RealTask;
use crate::snapshot::{MemoryPlan, MemorySource, ReadOutcome, Snapshot, SoftError, Stage};
use minidump_mach::{CaptureError, Captured, CapturedMemory, MachTask};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// A task at an address that does not change.
#[derive(Debug)]
struct Kept(NonNull<RealTask>);

impl Kept {
    fn new(task: RealTask) -> Self {
        Self(NonNull::from(Box::leak(Box::new(task))))
    }

    /// The task.
    ///
    /// # Safety
    /// The reference must not be used when this has been dropped.
    #[expect(
        unsafe_code,
        reason = "the memory of a capture refers to its task, and both lie in one structure"
    )]
    unsafe fn get(&self) -> &'static RealTask {
        // SAFETY: it is there until this is dropped, after which the caller does not use it, and is never changed.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Kept {
    #[expect(unsafe_code, reason = "the other half of `new`")]
    fn drop(&mut self) {
        // SAFETY: the pointer is that of the box in `new`, and this happens once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Memory of a capture.
#[derive(Debug)]
pub struct TaskMemory {
    // Refers to the task below, and is dropped before it.
    memory: Memory,
    task: Kept,
}

#[derive(Debug)]
enum Memory {
    /// The task does not stand still for its sake any more.
    Free { memory: Box<CapturedMemory<'static>>, stopped: Duration },
    /// It is read from the task, which stands still.
    Held(Held),
}

/// Memory of a task that stands still until it has been written, or for `limit` at most.
#[derive(Debug)]
struct Held {
    since: Instant,
    limit: Duration,
    /// `None` when the limit was reached, which lets the task go.
    memory: RefCell<Option<Box<CapturedMemory<'static>>>>,
    /// How long the task stood, if it was let go early.
    given_up: Cell<Option<Duration>>,
}

impl TaskMemory {
    /// Captures `task`, and keeps what the memory of the capture needs. With a `limit`, the task stands still while the dump
    /// is written, so long at most; not the own one, which runs on.
    pub fn capture(
        task: RealTask,
        limit: Option<Duration>,
        capture: impl FnOnce(&'static RealTask) -> Result<Captured<'static>, CaptureError>,
    ) -> Result<(Snapshot, MemoryPlan, bool, Self), CaptureError> {
        let limit = limit.filter(|_| task.own_thread().is_none());
        let task = Kept::new(task);
        let since = Instant::now();
        #[expect(unsafe_code, reason = "see `Kept`")]
        // SAFETY: what `capture` makes of it goes into the structure that has `task`, in front of it, or is dropped here.
        let captured = capture(unsafe { task.get() })?;
        let is_complete = captured.is_complete();
        let Captured { snapshot, plan, memory, stopped } = captured;
        let memory = Box::new(memory);
        let memory = match limit {
            Some(limit) => {
                let memory = RefCell::new(Some(memory));
                Memory::Held(Held { since, limit, memory, given_up: Cell::new(None) })
            }
            None => Memory::Free { memory, stopped },
        };
        Ok((snapshot, plan, is_complete, Self { memory, task }))
    }

    /// Lets the task go on. Returns how long it stood still.
    pub fn finish(self) -> Duration {
        let Self { memory, task } = self;
        let stopped = match memory {
            Memory::Free { stopped, .. } => stopped,
            Memory::Held(held) => held.release(),
        };
        drop(task);
        stopped
    }

    /// What to tell of memory that could not be read while the dump was written.
    pub fn holes_note(&self, count: u64, bytes: u64) -> Option<SoftError> {
        let Memory::Held(held) = &self.memory else { return None };
        let why = if held.given_up.get().is_some() {
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

impl Held {
    /// Lets the task go on, if that has not happened.
    fn release(&self) -> Duration {
        if let Some(memory) = self.memory.take() {
            drop(memory);
            self.given_up.set(Some(self.since.elapsed()));
        }
        self.given_up.get().unwrap_or_default()
    }

    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        if self.since.elapsed() >= self.limit {
            self.release();
        }
        match &*self.memory.borrow() {
            Some(memory) => memory.read(address, buffer),
            None => ReadOutcome::unreadable(0, None),
        }
    }
}

impl MemorySource for TaskMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        match &self.memory {
            Memory::Free { memory, .. } => memory.read(address, buffer),
            Memory::Held(held) => held.read(address, buffer),
        }
    }

    fn slice(&self, address: u64, size: usize) -> &[u8] {
        match &self.memory {
            Memory::Free { memory, .. } => memory.slice(address, size),
            Memory::Held(_) => &[],
        }
    }
}
