//! Which memory a dump holds, and plans cut down to it.

use crate::snapshot::{MemoryPlan, PlannedRange, Purpose, Snapshot, Thread, ThreadStack};
use std::collections::HashMap;

/// Ranges (first address, first address behind it), sorted, neither overlapping nor touching.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held(Vec<(u64, u64)>);

impl Held {
    pub fn new(mut ranges: Vec<(u64, u64)>) -> Self {
        ranges.retain(|(start, end)| start < end);
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        Self(merged)
    }

    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// The parts of `start..end` that are held.
    fn parts(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> {
        let first = self.0.partition_point(|(_, held_end)| *held_end <= start);
        let rest = self.0.get(first..).unwrap_or_default();
        let overlapping = rest.iter().take_while(move |(held_start, _)| *held_start < end);
        overlapping.map(move |(held_start, held_end)| (start.max(*held_start), end.min(*held_end)))
    }

    /// The parts of `start..end` that are not held.
    pub fn gaps(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> {
        let first = self.0.partition_point(|(_, held_end)| *held_end <= start);
        let rest = self.0.get(first..).unwrap_or_default();
        let mut next = rest.iter().take_while(move |(held_start, _)| *held_start < end);
        let mut position = start;
        std::iter::from_fn(move || {
            while position < end {
                let from = position;
                let (held_start, held_end) = next.next().copied().unwrap_or((end, end));
                position = held_end;
                if from < held_start {
                    return Some((from, held_start));
                }
            }
            None
        })
    }

    /// A plan of all that is held.
    pub fn plan(&self) -> MemoryPlan {
        let range = |(start, end): &(u64, u64)| PlannedRange {
            start: *start,
            size: end - start,
            purpose: Purpose::Application,
        };
        MemoryPlan::from_ranges(self.0.iter().map(range).collect(), Vec::new())
    }

    /// `plan` without what is not held. Of a stack that is held in part, the part from the stack pointer on counts, or
    /// else the first one.
    pub fn cut(&self, plan: &MemoryPlan, snapshot: &Snapshot) -> MemoryPlan {
        let mut ranges = Vec::with_capacity(plan.ranges().len());
        for range in plan.ranges() {
            let part = |(start, end): (u64, u64)| PlannedRange { start, size: end - start, ..*range };
            ranges.extend(self.parts(range.start, range.end()).map(part));
        }
        let pointer = |thread: &Thread| Some((thread.id, thread.stack_pointer()?));
        let pointers: HashMap<u32, u64> = snapshot.threads.iter().filter_map(pointer).collect();
        let cut = |stack: &ThreadStack| self.cut_stack(stack, pointers.get(&stack.thread).copied());
        let stacks = plan.stacks().iter().filter_map(cut).collect();
        MemoryPlan::from_ranges(ranges, stacks)
    }

    fn cut_stack(&self, stack: &ThreadStack, sp: Option<u64>) -> Option<ThreadStack> {
        let end = stack.start.saturating_add(stack.size);
        let around_sp = |(start, end): &(u64, u64)| sp.is_some_and(|sp| *start <= sp && sp < *end);
        let mut parts = self.parts(stack.start, end);
        let first = parts.next()?;
        let (start, end) = if around_sp(&first) { first } else { parts.find(around_sp).unwrap_or(first) };
        Some(ThreadStack { thread: stack.thread, start, size: end - start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::empty_snapshot;

    #[test]
    fn ranges_that_overlap_or_touch_are_one() {
        let held = Held::new(vec![(0x3000, 0x4000), (0x1000, 0x2000), (0x2000, 0x2800), (5, 5), (9, 2)]);
        assert_eq!(held.ranges(), [(0x1000, 0x2800), (0x3000, 0x4000)]);
    }

    #[test]
    fn gaps_are_what_parts_are_not() {
        let held = Held::new(vec![(0x1000, 0x2000), (0x3000, 0x4000)]);
        let gaps = |start, end| held.gaps(start, end).collect::<Vec<_>>();
        assert_eq!(gaps(0x800, 0x5000), [(0x800, 0x1000), (0x2000, 0x3000), (0x4000, 0x5000)]);
        assert_eq!(gaps(0x1000, 0x2000), []);
        assert_eq!(gaps(0x1800, 0x2800), [(0x2000, 0x2800)]);
        assert_eq!(gaps(0x2000, 0x2000), []);
    }

    #[test]
    fn a_plan_keeps_what_is_held() {
        let held = Held::new(vec![(0x1000, 0x2000), (0x3000, 0x4000)]);
        let range = |start, size| PlannedRange { start, size, purpose: Purpose::Stack };
        let stack = ThreadStack { thread: 7, start: 0x1800, size: 0x2000 };
        let plan = MemoryPlan::from_ranges(vec![range(0x1800, 0x2000), range(0x5000, 1)], vec![stack]);
        let mut snapshot = empty_snapshot();
        let mut thread = Thread::new(7);
        thread.fallback_sp_ip = Some((0x3010, 0));
        snapshot.threads.push(thread);
        let cut = held.cut(&plan, &snapshot);
        assert_eq!(cut.ranges(), [range(0x1800, 0x800), range(0x3000, 0x800)]);
        assert_eq!(cut.stack_of(7), Some(ThreadStack { thread: 7, start: 0x3000, size: 0x800 }));
    }
}
