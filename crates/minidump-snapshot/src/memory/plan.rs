mod application;
mod around;
mod budget;
mod full;
mod loader;
mod pointed_to;
mod purpose;
mod referring;
mod stacks;

pub use purpose::Purpose;

use super::{MemoryMode, MemoryPolicy};
use crate::{Snapshot, SoftError};
use budget::Sizes;
use serde::{Deserialize, Serialize};
use stacks::Found;

/// A range of target memory to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRange {
    /// First address.
    pub start: u64,
    /// Size in bytes, never zero.
    pub size: u64,
    /// Most important of the reasons to keep it.
    pub purpose: Purpose,
}

impl PlannedRange {
    /// First address behind the range.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}

/// The part of a thread's stack that is kept. It always lies inside one [`PlannedRange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadStack {
    /// Thread id.
    pub thread: u32,
    /// First address.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
}

/// One reason to keep one range. Parts may overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    range: PlannedRange,
    /// The thread whose stack this is.
    thread: Option<u32>,
}

impl Part {
    /// The range from `start` up to `end`, if there is anything between them.
    fn new((start, end): (u64, u64), purpose: Purpose) -> Option<Self> {
        let size = end.checked_sub(start).filter(|size| *size > 0)?;
        Some(Self { range: PlannedRange { start, size, purpose }, thread: None })
    }
}

/// Which target memory a dump holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// What the ranges were made of, in no order.
    parts: Vec<Part>,
    /// Ranges that do not overlap, by importance, then by address.
    ranges: Vec<PlannedRange>,
    /// Stacks by ascending thread id.
    stacks: Vec<ThreadStack>,
}

impl MemoryPlan {
    /// Plans the memory of `snapshot` under `policy`. Needs its threads, regions, exception and loader facts, nothing
    /// else. What had to be left out is reported in `soft_errors`.
    ///
    /// What lies around pointers takes memory contents to find: [`pointed_to`](Self::pointed_to) plans it once the
    /// memory of this plan is there.
    #[must_use]
    pub fn new(snapshot: &Snapshot, policy: &MemoryPolicy, soft_errors: &mut Vec<SoftError>) -> Self {
        let around = around::parts(snapshot, &Sizes::of(policy));
        let loader = loader::parts(snapshot);
        let application = application::parts(&snapshot.regions, &policy.application, soft_errors);
        if policy.mode == MemoryMode::Full {
            let found = full::stacks(snapshot, policy);
            found.report_lost(soft_errors);
            let more = around.into_iter().chain(loader).chain(application);
            let more = more.chain(full::parts(&snapshot.regions));
            return Self::of(found.parts.into_iter().chain(more).collect(), found.stacks);
        }
        let found = Found::new(snapshot, &Sizes::of(policy));
        let (found, around) = budget::cut(snapshot, policy, found, around, soft_errors);
        found.report_lost(soft_errors);
        let Found { mut parts, stacks, .. } = found;
        parts.extend(around);
        budget::fill(&mut parts, loader, "the loader's structures", policy.budget, soft_errors);
        budget::fill(&mut parts, application, "the application's memory", policy.budget, soft_errors);
        Self::of(parts, stacks)
    }

    /// A plan of the given ranges and stacks. Overlapping ranges are merged, empty ones dropped.
    #[must_use]
    pub fn from_ranges(ranges: Vec<PlannedRange>, stacks: Vec<ThreadStack>) -> Self {
        let mut parts: Vec<Part> = ranges.into_iter().map(|range| Part { range, thread: None }).collect();
        referring::name_owners(&mut parts, &stacks);
        Self::of(parts, stacks)
    }

    fn of(mut parts: Vec<Part>, mut stacks: Vec<ThreadStack>) -> Self {
        parts.retain(|part| part.range.size > 0);
        stacks.sort_by_key(|stack| stack.thread);
        Self { ranges: merged(parts.iter().map(|part| part.range).collect()), parts, stacks }
    }

    /// This plan and `more`.
    #[must_use]
    pub fn joined_with(mut self, more: &Self) -> Self {
        self.parts.extend_from_slice(&more.parts);
        self.stacks.extend_from_slice(&more.stacks);
        Self::of(self.parts, self.stacks)
    }

    /// The ranges, by importance, then by address. They do not overlap.
    #[must_use]
    pub fn ranges(&self) -> &[PlannedRange] {
        &self.ranges
    }

    /// The kept part of a thread's stack.
    #[must_use]
    pub fn stack_of(&self, thread: u32) -> Option<ThreadStack> {
        let index = self.stacks.binary_search_by_key(&thread, |stack| stack.thread).ok()?;
        self.stacks.get(index).copied()
    }

    /// The kept parts of all stacks, by ascending thread id.
    #[must_use]
    pub fn stacks(&self) -> &[ThreadStack] {
        &self.stacks
    }

    /// Bytes in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        total(&self.ranges)
    }
}

fn total(ranges: &[PlannedRange]) -> u64 {
    ranges.iter().map(|range| range.size).fold(0, u64::saturating_add)
}

/// Merges what overlaps and orders by importance.
fn merged(mut ranges: Vec<PlannedRange>) -> Vec<PlannedRange> {
    // Stacks mostly come in the order of their addresses, or against it, which a stable sort makes use of.
    ranges.sort_by_key(|range| (range.start, range.size));
    let mut result: Vec<PlannedRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match result.last_mut() {
            Some(last) if range.start < last.end() => {
                last.size = range.end().max(last.end()) - last.start;
                last.purpose = last.purpose.min(range.purpose);
            }
            _ => result.push(range),
        }
    }
    by_importance(&result)
}

/// The ranges, which are sorted by address, by purpose and then by address. As there are few purposes, going through
/// the ranges once for each costs less than to sort them, and the target may be waiting.
fn by_importance(ranges: &[PlannedRange]) -> Vec<PlannedRange> {
    let mut result = Vec::with_capacity(ranges.len());
    let mut next = ranges.iter().map(|range| range.purpose).min();
    while let Some(purpose) = next {
        result.extend(ranges.iter().filter(|range| range.purpose == purpose));
        next = ranges.iter().map(|range| range.purpose).filter(|other| *other > purpose).min();
    }
    result
}

#[cfg(test)]
mod tests;
