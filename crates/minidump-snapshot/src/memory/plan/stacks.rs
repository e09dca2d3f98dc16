use super::budget::Sizes;
use super::{Part, Purpose, ThreadStack};
use crate::memory::{interrupted_stack, stack_window};
use crate::{Snapshot, SoftError, Stage, Thread};

/// What is kept at most of the stack on which a signal has interrupted a thread, in bytes, and of how many threads besides
/// the blamed one: rarely more than one of them handles a signal.
const MOST_INTERRUPTED: u64 = 128 << 10;
const INTERRUPTED_THREADS: usize = 32;

/// The stacks of a snapshot, and the threads (with their stack pointers) that have none.
pub(super) struct Found {
    /// One part for each stack, two for one that overflows.
    pub parts: Vec<Part>,
    pub stacks: Vec<ThreadStack>,
    lost: Vec<(u32, u64)>,
}

impl Found {
    /// The stacks, each at most as long as `sizes` tells.
    pub(super) fn new(snapshot: &Snapshot, sizes: &Sizes) -> Self {
        Self::capped(snapshot, |_, blamed| if blamed { sizes.blamed_cap } else { sizes.stack_cap })
    }

    /// The stacks, each at most as long as `cap` tells for its thread, which may be the blamed one.
    pub(super) fn capped(snapshot: &Snapshot, cap: impl Fn(&Thread, bool) -> u64) -> Self {
        let count = snapshot.threads.len();
        let mut found = Self {
            parts: Vec::with_capacity(count.saturating_mul(2).saturating_add(16)),
            stacks: Vec::with_capacity(count),
            lost: Vec::new(),
        };
        // Windows has no signals, and its thread pointer points at no stack.
        let signals = snapshot.windows.is_none();
        let mut left = INTERRUPTED_THREADS;
        for thread in &snapshot.threads {
            let Some(sp) = thread.stack_pointer() else { continue };
            let blamed = snapshot.blamed_thread == Some(thread.id);
            let purpose = if blamed { Purpose::BlamedStack } else { Purpose::Stack };
            let is_main = thread.id == snapshot.process.pid;
            let Some(window) = stack_window(&snapshot.regions, thread, is_main, cap(thread, blamed)) else {
                found.lost.push((thread.id, sp));
                continue;
            };
            let parts = [Some(window.head), window.tail].into_iter().flatten();
            let own = if signals && (blamed || left > 0) {
                let cap = cap(thread, blamed).min(MOST_INTERRUPTED);
                interrupted_stack(&snapshot.regions, thread, is_main, window, cap)
            } else {
                None
            };
            left = left.saturating_sub(usize::from(own.is_some()));
            let parts = parts.chain(own.into_iter().flatten());
            let parts = parts.filter_map(|bounds| Part::new(bounds, purpose));
            found.parts.extend(parts.map(|part| Part { thread: Some(thread.id), ..part }));
            let (start, end) = window.head;
            found.stacks.push(ThreadStack { thread: thread.id, start, size: end.saturating_sub(start) });
        }
        found
    }

    pub(super) fn report_lost(&self, soft_errors: &mut Vec<SoftError>) {
        for (thread, sp) in &self.lost {
            let message = "the stack pointer points at no stack";
            soft_errors.push(SoftError::new(Stage::Memory, message).thread(*thread).range(*sp, 0));
        }
    }
}
