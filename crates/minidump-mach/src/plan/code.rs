//! Which code debuggers need to find the callers.

use crate::copied::Copied;
use crate::dyld::Images;
use crate::frameless::innermost_frame;
use crate::frames::{InnermostFrame, MOST_BLAMED, MOST_OTHERS, return_addresses};
use crate::memory::TaskMemory;
use minidump_snapshot::{AppleFacts, PlannedRange, Protection, Purpose, RegionKind, Snapshot};
use std::collections::{BTreeMap, BTreeSet};

/// Kept on each side of a return address: the call before it and the instruction at it.
const BESIDE: u64 = 4;

/// Code between two return addresses of a region is kept when it is at most as long as this. Another segment would take 72
/// bytes of the core.
const GAP: u64 = 64;

/// Kept at most around the instruction pointer of a thread with a frame record.
const CODE_WINDOW: u64 = 64;

/// Whether the memory at `address` may be read for the dump.
pub fn is_open(snapshot: &Snapshot, address: u64) -> bool {
    let region = snapshot.region_at(address);
    region.is_some_and(|region| !region.protection.is_empty() && region.kind != RegionKind::Device)
}

/// Where the threads run.
#[derive(Debug, Default)]
pub struct Code {
    /// Return addresses, sorted, each once.
    returns: Vec<u64>,
    /// Instruction pointers of threads whose innermost function has a frame record, and whether it is the blamed one.
    pointers: Vec<(u64, bool)>,
    /// The ranges at the other instruction pointers, sorted.
    pub frameless: Vec<(u64, u64)>,
}

impl Code {
    pub fn of(snapshot: &Snapshot, images: &Images, stacks: &Copied, memory: &TaskMemory<'_>) -> Self {
        let mut code = Self::default();
        let unknown = AppleFacts::default();
        let facts = snapshot.apple.as_ref().unwrap_or(&unknown);
        // Most threads wait at the same few places.
        let mut known = BTreeMap::new();
        for thread in &snapshot.threads {
            let Some(cpu) = &thread.cpu else { continue };
            let blamed = snapshot.blamed_thread == Some(thread.id);
            let pc = facts.strip(cpu.instruction_pointer());
            // Where nothing is mapped, a call went astray: its return address is where a function without a record has it.
            let innermost = *known.entry(pc).or_insert_with(|| {
                if is_open(snapshot, pc) {
                    innermost_frame(cpu, pc, images, memory)
                } else {
                    InnermostFrame::Frameless
                }
            });
            match innermost {
                InnermostFrame::Recorded => code.pointers.push((pc, blamed)),
                InnermostFrame::Frameless => code.frameless.push((pc, pc.saturating_add(1))),
            }
            let most = if blamed { MOST_BLAMED } else { MOST_OTHERS };
            code.returns.extend(return_addresses(cpu, innermost, stacks, facts, most));
        }
        code.returns.sort_unstable();
        code.returns.dedup();
        code.pointers.sort_unstable();
        code.pointers.dedup();
        code.frameless.sort_unstable();
        code.frameless.dedup();
        code
    }

    /// Notes which images have a frame on a stack.
    pub fn mark_images(&self, snapshot: &mut Snapshot, images: &Images) {
        let pointers =
            self.pointers.iter().map(|(pc, _)| *pc).chain(self.frameless.iter().map(|(pc, _)| *pc));
        let bases = self.returns.iter().copied().chain(pointers);
        let bases = bases.filter_map(|address| images.running_at(address)).map(|image| image.base);
        let running: BTreeSet<u64> = bases.collect();
        for image in snapshot.apple.iter_mut().flat_map(|facts| &mut facts.images) {
            image.executing = running.contains(&image.base);
        }
    }

    /// The code to keep: around instruction pointers, for the blamed thread `window` bytes of it, then at return addresses.
    pub fn ranges(&self, snapshot: &Snapshot, window: u64) -> Vec<PlannedRange> {
        let window = window.min(CODE_WINDOW);
        let around = |address: u64, beside: u64| {
            let region = snapshot.region_at(address)?;
            let code = region.protection.contains(Protection::EXECUTE) && region.kind != RegionKind::Device;
            let start = address.saturating_sub(beside).max(region.start);
            let end = address.saturating_add(beside).min(region.end);
            (code && start < end).then(|| PlannedRange { start, size: end - start, purpose: Purpose::Code })
        };
        let pointers = self.pointers.iter();
        let pointers =
            pointers.filter_map(|(pc, blamed)| around(*pc, if *blamed { window / 2 } else { 2 * BESIDE }));
        let mut ranges: Vec<PlannedRange> = pointers.collect();
        let mut before: Option<PlannedRange> = None;
        for range in self.returns.iter().filter_map(|address| around(*address, BESIDE)) {
            match &mut before {
                Some(before) if self.are_joined(snapshot, before, &range) => {
                    before.size = range.end().saturating_sub(before.start);
                }
                _ => ranges.extend(before.replace(range)),
            }
        }
        ranges.extend(before);
        ranges
    }

    /// Whether what lies between two pieces of code, the first below the second, is kept, too.
    fn are_joined(&self, snapshot: &Snapshot, before: &PlannedRange, range: &PlannedRange) -> bool {
        let is_near = range.start.saturating_sub(before.end()) <= GAP;
        let in_region = || snapshot.region_at(before.start).is_some_and(|region| range.end() <= region.end);
        // Nothing is to be kept where a function without a frame record stands.
        let is_free = || {
            let next = self.frameless.partition_point(|(start, _)| *start < before.end());
            self.frameless.get(next).is_none_or(|(start, _)| *start >= range.start)
        };
        is_near && in_region() && is_free()
    }
}
