use crate::MachTask;
use crate::copied::Copied;
use crate::memory::TaskMemory;
use crate::suspension::Suspension;
use minidump_snapshot::{MemoryPlan, MemorySource, ReadOutcome};
use std::time::Duration;

/// Memory of a captured task: what was copied while it stood still, and, where all memory is wanted, the task itself, which
/// stands still until this is dropped.
#[derive(Debug)]
pub struct CapturedMemory<'a> {
    copied: Copied,
    live: Option<TaskMemory<'a>>,
    suspension: Option<Suspension<'a>>,
}

impl<'a> CapturedMemory<'a> {
    pub(crate) fn copied(copied: Copied) -> Self {
        Self { copied, live: None, suspension: None }
    }

    pub(crate) fn live(copied: Copied, task: &'a dyn MachTask, suspension: Option<Suspension<'a>>) -> Self {
        Self { copied, live: Some(TaskMemory::new(task)), suspension }
    }

    pub(crate) fn holds(&self, plan: &MemoryPlan) -> bool {
        self.copied.holds(plan)
    }

    /// Lets the task go on, if it stood for the sake of this. Returns how long it did.
    pub(crate) fn end(self) -> Option<Duration> {
        self.suspension.map(|suspension| suspension.end().0)
    }
}

impl MemorySource for CapturedMemory<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let Some(live) = &self.live else { return self.copied.read(address, buffer) };
        let mut done = 0_usize;
        loop {
            let Some(at) = address.checked_add(done as u64) else {
                return ReadOutcome::unreadable(done, None);
            };
            let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) else {
                return ReadOutcome::complete(done);
            };
            let came = self.copied.read(at, rest).done;
            if came > 0 {
                done = done.saturating_add(came);
                continue;
            }
            // Up to what was copied: of a task that runs on, that is of the instant of the capture.
            let room = self.copied.next_above(at).map_or(u64::MAX, |next| next - at);
            let size = usize::try_from(room).unwrap_or(usize::MAX).min(rest.len());
            let outcome = live.read(at, rest.get_mut(..size).unwrap_or_default());
            done = done.saturating_add(outcome.done);
            if outcome.done < size {
                return ReadOutcome { done, end: outcome.end };
            }
        }
    }

    fn slice(&self, address: u64, size: usize) -> &[u8] {
        self.copied.slice(address, size)
    }
}
