use super::{MemoryPlan, Part, PlannedRange, ThreadStack};
use crate::memory::MemorySource;
use crate::memory::words::WordReader;
use crate::{Snapshot, Thread};

impl MemoryPlan {
    /// This plan without the stacks of threads that have nothing to do with the `range` (first address, size), and
    /// the ids of these threads.
    ///
    /// A thread's stack stays when its instruction pointer or an aligned word of its planned stack, which is read from
    /// `memory`, lies in the range. The blamed thread's always stays. Memory of a dropped stack stays where it is
    /// planned for another reason, too.
    #[must_use]
    pub fn only_stacks_that_refer_to(
        &self,
        range: (u64, u64),
        snapshot: &Snapshot,
        memory: &dyn MemorySource,
    ) -> (Self, Vec<u32>) {
        let is_inside = |address: u64| address.checked_sub(range.0).is_some_and(|offset| offset < range.1);
        let stacks = self.stack_parts();
        let mut words = WordReader::new(memory, snapshot.system.cpu.pointer_size());
        let mut refers = |thread: &Thread| {
            let found = |(_, part): &(u32, PlannedRange)| {
                !words.each((part.start, part.end()), |word| !is_inside(word))
            };
            snapshot.blamed_thread == Some(thread.id)
                || thread.instruction_pointer().is_some_and(is_inside)
                || stacks_of(&stacks, thread.id).iter().any(found)
        };
        let threads = snapshot.threads.iter().filter(|thread| !stacks_of(&stacks, thread.id).is_empty());
        let dropped: Vec<u32> = threads.filter(|thread| !refers(thread)).map(|thread| thread.id).collect();
        (self.without_stacks(&dropped), dropped)
    }

    fn without_stacks(&self, threads: &[u32]) -> Self {
        let mut sorted = threads.to_vec();
        sorted.sort_unstable();
        let stays = |thread: u32| sorted.binary_search(&thread).is_err();
        let parts = self.parts.iter().copied().filter(|part| part.thread.is_none_or(stays));
        let stacks = self.stacks.iter().copied().filter(|stack| stays(stack.thread));
        Self::of(parts.collect(), stacks.collect())
    }

    /// What is planned of stacks, by ascending thread id, of each the near end first.
    pub(super) fn stack_parts(&self) -> Vec<(u32, PlannedRange)> {
        let owned = self.parts.iter().filter_map(|part| Some((part.thread?, part.range)));
        let mut stacks: Vec<_> = owned.collect();
        stacks.sort_unstable_by_key(|(thread, range)| (*thread, range.start));
        stacks
    }
}

/// Those of [`MemoryPlan::stack_parts`] that are of `thread`.
pub(super) fn stacks_of(stacks: &[(u32, PlannedRange)], thread: u32) -> &[(u32, PlannedRange)] {
    let start = stacks.partition_point(|(id, _)| *id < thread);
    let end = stacks.partition_point(|(id, _)| *id <= thread);
    stacks.get(start..end).unwrap_or_default()
}

/// Finds out which parts are stacks and nothing else: those that hold the stack of exactly one thread.
pub(super) fn name_owners(parts: &mut [Part], stacks: &[ThreadStack]) {
    parts.sort_unstable_by_key(|part| (part.range.start, part.range.size));
    let mut by_start: Vec<&ThreadStack> = stacks.iter().collect();
    by_start.sort_unstable_by_key(|stack| stack.start);
    for part in parts.iter_mut().filter(|part| part.range.purpose.is_stack()) {
        let first = by_start.partition_point(|stack| stack.start < part.range.start);
        let behind = by_start.get(first..).unwrap_or_default();
        let mut held = behind.iter().take_while(|stack| stack.start < part.range.end());
        part.thread = held.next().filter(|_| held.next().is_none()).map(|stack| stack.thread);
    }
}
