use super::{MemoryPolicy, stack_window};
use crate::region::{RegionKind, find};
use crate::{Snapshot, SoftError, Stage, Thread};
use serde::{Deserialize, Serialize};

/// Why a range belongs into the dump. The order is that of importance, which is also the order of writing: a file
/// that is cut off loses the least useful memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Purpose {
    /// Stack of the blamed thread.
    BlamedStack,
    /// Around an instruction pointer.
    Code,
    /// Stack of any other thread.
    Stack,
    /// The dynamic loader's own structures.
    Loader,
}

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

/// Which target memory a dump holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// Ranges that do not overlap, by importance, then by address.
    ranges: Vec<PlannedRange>,
    /// Stacks by ascending thread id.
    stacks: Vec<ThreadStack>,
}

impl MemoryPlan {
    /// Plans the memory of `snapshot` under `policy`. Needs its threads, regions and loader facts, nothing else. What
    /// had to be left out is reported in `soft_errors`.
    #[must_use]
    pub fn new(snapshot: &Snapshot, policy: &MemoryPolicy, soft_errors: &mut Vec<SoftError>) -> Self {
        let mut cap = policy.stack_cap;
        let Found { mut ranges, mut stacks, lost } = loop {
            let found = stacks(snapshot, policy, cap);
            let total: u64 = found.ranges.iter().map(|range| range.size).sum();
            if total <= policy.budget || cap <= policy.stack_floor {
                break found;
            }
            cap = (cap / 2).max(policy.stack_floor);
        };
        if cap < policy.stack_cap {
            let message = format!("the stacks exceed the memory budget, each was cut to {cap} bytes");
            soft_errors.push(SoftError::new(Stage::Memory, message));
        }
        for (thread, sp) in lost {
            let message = "the stack pointer points at no stack";
            soft_errors.push(SoftError::new(Stage::Memory, message).thread(thread).range(sp, 0));
        }
        ranges.extend(code_ranges(snapshot, policy.code_window));
        ranges.extend(loader_ranges(snapshot));
        stacks.sort_by_key(|stack| stack.thread);
        Self { ranges: merged(ranges), stacks }
    }

    /// A plan of the given ranges and stacks. Overlapping ranges are merged, empty ones dropped.
    #[must_use]
    pub fn from_ranges(ranges: Vec<PlannedRange>, mut stacks: Vec<ThreadStack>) -> Self {
        stacks.sort_by_key(|stack| stack.thread);
        Self { ranges: merged(ranges), stacks }
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
        self.ranges.iter().map(|range| range.size).sum()
    }
}

fn push(ranges: &mut Vec<PlannedRange>, (start, end): (u64, u64), purpose: Purpose) {
    if let Some(size) = end.checked_sub(start).filter(|size| *size > 0) {
        ranges.push(PlannedRange { start, size, purpose });
    }
}

/// The stacks of a snapshot, and the threads (with their stack pointers) that have none.
struct Found {
    ranges: Vec<PlannedRange>,
    stacks: Vec<ThreadStack>,
    lost: Vec<(u32, u64)>,
}

fn stacks(snapshot: &Snapshot, policy: &MemoryPolicy, cap: u64) -> Found {
    let mut found = Found {
        ranges: Vec::with_capacity(snapshot.threads.len() * 2 + 16),
        stacks: Vec::with_capacity(snapshot.threads.len()),
        lost: Vec::new(),
    };
    for thread in &snapshot.threads {
        let Some(sp) = thread.stack_pointer() else { continue };
        let blamed = snapshot.blamed_thread == Some(thread.id);
        let (cap, purpose) =
            if blamed { (policy.blamed_stack_cap, Purpose::BlamedStack) } else { (cap, Purpose::Stack) };
        let is_main = thread.id == snapshot.process.pid;
        let Some(window) = stack_window(&snapshot.regions, thread, is_main, cap) else {
            found.lost.push((thread.id, sp));
            continue;
        };
        push(&mut found.ranges, window.head, purpose);
        if let Some(tail) = window.tail {
            push(&mut found.ranges, tail, purpose);
        }
        let (start, end) = window.head;
        found.stacks.push(ThreadStack { thread: thread.id, start, size: end.saturating_sub(start) });
    }
    found
}

fn code_ranges(snapshot: &Snapshot, window: u64) -> Vec<PlannedRange> {
    let mut pointers: Vec<u64> = snapshot.threads.iter().filter_map(Thread::instruction_pointer).collect();
    pointers.sort_unstable();
    pointers.dedup();
    let mut ranges = Vec::with_capacity(pointers.len());
    for ip in pointers {
        let Some(region) = find(&snapshot.regions, ip) else { continue };
        if region.protection.is_empty() || region.kind == RegionKind::Device {
            continue;
        }
        let low = ip.saturating_sub(window / 2).max(region.start);
        push(&mut ranges, (low, ip.saturating_add(window / 2).min(region.end)), Purpose::Code);
    }
    ranges
}

fn loader_ranges(snapshot: &Snapshot) -> Vec<PlannedRange> {
    /// `sizeof(struct r_debug)` and of the public part of `struct link_map` on 64-bit targets (<link.h>).
    const STRUCT_SIZE: u64 = 40;
    let mut ranges = Vec::new();
    let Some(debug) = snapshot.linux.as_ref().and_then(|facts| facts.dso_debug.as_ref()) else {
        return ranges;
    };
    let mut keep = |start: u64, size: u64| {
        // The loader's structures are data of the target: only what lies inside a mapping is kept.
        if let Some(region) =
            find(&snapshot.regions, start).filter(|region| region.kind != RegionKind::Device)
        {
            push(&mut ranges, (start, start.saturating_add(size).min(region.end)), Purpose::Loader);
        }
    };
    keep(debug.address, STRUCT_SIZE);
    keep(debug.dynamic, debug.dynamic_contents.len() as u64);
    for entry in &debug.link_maps {
        keep(entry.address, STRUCT_SIZE);
        keep(entry.name_address, entry.name.len() as u64 + 1);
    }
    ranges
}

/// Merges what overlaps and orders by importance.
fn merged(mut ranges: Vec<PlannedRange>) -> Vec<PlannedRange> {
    ranges.retain(|range| range.size > 0);
    ranges.sort_unstable_by_key(|range| (range.start, range.size));
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
    result.sort_unstable_by_key(|range| (range.purpose, range.start));
    result
}

#[cfg(test)]
mod tests;
