use super::referring::stacks_of;
use super::{MemoryPlan, Part, PlannedRange, Purpose};
use crate::memory::words::WordReader;
use crate::memory::{MemoryMode, MemoryPolicy, MemorySource};
use crate::region::{Region, RegionKind};
use crate::{CpuState, Protection, Snapshot, SoftError, Stage, Thread};
use std::collections::BTreeMap;

/// Breakpad's reader refuses longer lists of memory ranges.
const MOST_RANGES: usize = 4096;

impl MemoryPlan {
    /// Plans the memory around the pointers in the registers and in the planned stacks, which it reads from `memory`:
    /// `policy.indirect_window` bytes for each, a quarter of them in front of it, because pointers mostly point at
    /// the start of what they mean. The result holds nothing that is planned already, so that only it needs copying;
    /// [`joined_with`](Self::joined_with) makes one plan of both.
    ///
    /// The blamed thread comes first, the others share what it leaves of `policy.indirect_budget` and
    /// `policy.budget`. Not taken are read-only mappings of files, whose bytes are in the files, and memory that the
    /// program asked to leave out of dumps. Empty in any mode but [`MemoryMode::Indirect`].
    #[must_use]
    pub fn pointed_to(
        &self,
        snapshot: &Snapshot,
        policy: &MemoryPolicy,
        memory: &dyn MemorySource,
        soft_errors: &mut Vec<SoftError>,
    ) -> Self {
        let room = policy.budget.saturating_sub(self.total());
        if policy.mode != MemoryMode::Indirect || policy.indirect_window == 0 {
            return Self::default();
        }
        let mut windows = Windows::new(self, &snapshot.regions, policy.indirect_window);
        windows.left = policy.indirect_budget.min(room);
        let mut words = WordReader::new(memory, snapshot.system.cpu.pointer_size());
        let stacks = self.stack_parts();
        let count = snapshot.threads.len() as u64;
        for (thread, threads_left) in snapshot.threads.iter().zip((1..=count).rev()) {
            let blamed = snapshot.blamed_thread == Some(thread.id);
            let share = if blamed { windows.left } else { (windows.left / threads_left).max(windows.size) };
            windows.begin(share);
            scan(thread, stacks_of(&stacks, thread.id), &mut words, &mut windows);
        }
        if windows.any_refused && room < policy.indirect_budget {
            let budget = policy.budget;
            let message =
                format!("memory around pointers was left out to keep within the budget of {budget} bytes");
            soft_errors.push(SoftError::new(Stage::Memory, message));
        }
        Self::of(windows.into_parts(), Vec::new())
    }
}

/// Keeps windows around the pointers of one thread, the registers first, then the stack from its near end.
fn scan(thread: &Thread, stack: &[(u32, PlannedRange)], words: &mut WordReader<'_>, windows: &mut Windows) {
    if !thread.cpu.iter().flat_map(CpuState::data_pointers).all(|pointer| windows.keep(pointer)) {
        return;
    }
    for (_, range) in stack {
        if !words.each((range.start, range.end()), |word| windows.keep(word)) {
            return;
        }
    }
}

/// The memory around pointers, as far as it has been found.
struct Windows {
    /// Size of a window in bytes.
    size: u64,
    /// Where pointers may point: sorted bounds of the regions worth keeping.
    targets: Vec<(u64, u64)>,
    /// From the first to the last of them. Most words are no pointers and lie outside.
    span: (u64, u64),
    /// The target that the latest pointer was found in.
    latest: (u64, u64),
    /// Pointers seen lately, each in the slot that its bits choose: most come many times.
    seen: Vec<u64>,
    /// All that is planned or found already, first address to end. No two touch.
    covered: BTreeMap<u64, u64>,
    found: Vec<(u64, u64)>,
    /// Most entries that `found` may have.
    most_found: usize,
    /// Bytes that may still be found.
    left: u64,
    /// Bytes that must be left for others.
    floor: u64,
    /// Something of the latest thread was not kept for lack of room.
    refused: bool,
    /// Something of any thread was not.
    any_refused: bool,
}

impl Windows {
    const SEEN_SLOTS: usize = 4096;

    fn new(plan: &MemoryPlan, regions: &[Region], size: u64) -> Self {
        let targets = regions.iter().filter(|region| is_target(region));
        let targets: Vec<_> = targets.map(|region| (region.start, region.end)).collect();
        let span = targets.first().zip(targets.last()).map_or((0, 0), |(first, last)| (first.0, last.1));
        let mut covered: Vec<(u64, u64)> =
            plan.ranges.iter().map(|range| (range.start, range.end())).collect();
        covered.sort_unstable();
        Self {
            size,
            targets,
            span,
            latest: (0, 0),
            seen: vec![0; Self::SEEN_SLOTS],
            covered: covered.into_iter().collect(),
            found: Vec::with_capacity(256),
            most_found: MOST_RANGES.saturating_sub(plan.ranges.len()),
            left: 0,
            floor: 0,
            refused: false,
            any_refused: false,
        }
    }

    /// Begins with the next thread, which may take up to `share` bytes.
    fn begin(&mut self, share: u64) {
        self.floor = self.left.saturating_sub(share);
        self.refused = false;
    }

    /// Keeps the window around `pointer`, if that points to a target. Returns false when there is no more room.
    fn keep(&mut self, pointer: u64) -> bool {
        let Some((start, end)) = self.target_of(pointer) else { return true };
        let slot = usize::try_from((pointer >> 3) % Self::SEEN_SLOTS as u64).ok();
        let Some(seen) = slot.and_then(|slot| self.seen.get_mut(slot)) else { return true };
        if std::mem::replace(seen, pointer) == pointer {
            return true;
        }
        let low = pointer.saturating_sub(self.size / 4);
        let high = low.saturating_add(self.size).max(pointer.saturating_add(1));
        self.cover(low.max(start), high.min(end))
    }

    fn target_of(&mut self, pointer: u64) -> Option<(u64, u64)> {
        let holds = |(start, end): (u64, u64)| start <= pointer && pointer < end;
        if !holds(self.span) {
            return None;
        }
        if !holds(self.latest) {
            let index = self.targets.partition_point(|(_, end)| *end <= pointer);
            self.latest = self.targets.get(index).copied().filter(|target| holds(*target))?;
        }
        Some(self.latest)
    }

    /// Adds what is not covered yet between `low` and `high`.
    fn cover(&mut self, low: u64, high: u64) -> bool {
        let last = self.covered.range(..=high).next_back().filter(|(_, end)| **end >= low);
        match last {
            // Most windows touch no other.
            None => {
                if self.take(low, high) {
                    self.covered.insert(low, high);
                }
                return !self.refused;
            }
            Some((start, end)) if *start <= low && high <= *end => return true,
            Some(_) => {}
        }
        // What reaches into the window from below, or touches it.
        let before = self.covered.range(..=low).next_back().filter(|(_, end)| **end >= low);
        let (joined_start, mut joined_end) = before.map_or((low, low), |(start, end)| (*start, *end));
        while joined_end < high {
            let next = self.covered.range(joined_end..=high).next().map(|(start, end)| (*start, *end));
            let gap_end = next.map_or(high, |(start, _)| start);
            if gap_end > joined_end && !self.take(joined_end, gap_end) {
                break;
            }
            joined_end = gap_end;
            let Some((start, end)) = next else { break };
            self.covered.remove(&start);
            joined_end = end;
        }
        if joined_end > joined_start {
            self.covered.insert(joined_start, joined_end);
        }
        !self.refused
    }

    /// Takes `start` to `end` if there is room for it.
    fn take(&mut self, start: u64, end: u64) -> bool {
        let size = end - start;
        let room = self.left.saturating_sub(self.floor);
        if size > room || self.found.len() >= self.most_found {
            self.refused = true;
            self.any_refused = true;
            return false;
        }
        self.left -= size;
        self.found.push((start, end));
        true
    }

    /// What was found, without borders between neighbours.
    fn into_parts(mut self) -> Vec<Part> {
        self.found.sort_unstable();
        let joined = self.found.chunk_by(|(_, end), (start, _)| end == start);
        let bounds = joined.filter_map(|run| Some((run.first()?.0, run.last()?.1)));
        bounds.filter_map(|bounds| Part::new(bounds, Purpose::Indirect)).collect()
    }
}

fn is_target(region: &Region) -> bool {
    let special = matches!(region.kind, RegionKind::Device | RegionKind::Kernel);
    let readable = region.protection.contains(Protection::READ) && !region.dont_dump && !special;
    readable && (region.protection.contains(Protection::WRITE) || region.kind != RegionKind::File)
}
