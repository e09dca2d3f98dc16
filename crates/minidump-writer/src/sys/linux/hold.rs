//! What keeps the memory of a dump as it was until it has been written.

use super::arena::Arena;
use super::before::Before;
use super::cow;
use super::memory::ProcessMemory;
use super::smaps::{Marks, Smaps};
use super::target::Target;
use super::tracees::Tracees;
use crate::snapshot::{MemoryPlan, PlannedRange, Protection, Purpose, Region, SoftError, Stage};
use crate::{DumpOptions, Error};
use std::io;
use std::time::Instant;

/// Most that is copied of memory that a forked copy of the target does not have, in bytes. The target stands still for
/// it.
const MOST_COPIED: u64 = 64 << 20;

/// What keeps the memory as it was.
#[derive(Debug)]
pub enum Hold {
    /// Nothing has to: the memory was copied.
    Nothing,
    /// The target, which stands still until this is dropped.
    Target(#[expect(dead_code, reason = "held for its drop")] Tracees),
    /// A forked copy of the target, which ends when this is dropped.
    Copy(#[expect(dead_code, reason = "held for its drop")] cow::Copy),
}

/// Memory that is read while the dump is written.
#[derive(Debug)]
pub struct HeldMemory {
    /// That of the target, or of its copy.
    pub process: ProcessMemory,
    /// Ranges (first address, end) that only `arena` may have, by ascending address.
    pub copied: Vec<(u64, u64)>,
}

/// Forks the target and lets it go. What the fork does not have is copied into the arena of `before` first.
pub fn fork(
    target: &Target,
    tracees: &mut Tracees,
    before: &mut Before,
    options: &DumpOptions,
    plan: &MemoryPlan,
    memory: &ProcessMemory,
    errors: &mut Vec<SoftError>,
) -> Result<(HeldMemory, Hold), Error> {
    let pid = target.pid;
    let image = &before.image;
    let deadline = Instant::now() + options.deadline;
    let copy = cow::copy(pid, tracees, &image.mappings, &image.maps_text, deadline)
        .map_err(|refusal| Error::CopyRefused { pid, reason: refusal.to_string() })?;
    let page_size = u64::from(before.system.page_size);
    let missing = missing_in_a_fork(before.smaps.as_ref(), plan);
    let copied = copy_missing(&mut before.arena, &missing, memory, page_size, errors);
    tracees.release();
    copied.map_err(|source| Error::Memory { pid, source })?;
    let copied = missing.iter().map(|range| (range.start, range.end())).collect();
    Ok((HeldMemory { process: copy.memory(), copied }, Hold::Copy(copy)))
}

/// The parts of `plan` that a forked copy lacks, or has as zeros, by ascending address.
fn missing_in_a_fork(smaps: Option<&Smaps>, plan: &MemoryPlan) -> Vec<PlannedRange> {
    let Some(smaps) = smaps else { return Vec::new() };
    let mut missing = Vec::new();
    for range in plan.ranges() {
        let special = smaps
            .in_range(range.start, range.end())
            .filter(|marked| marked.marks.intersects(Marks::DONT_COPY | Marks::WIPE_ON_FORK));
        for marked in special {
            let start = marked.start.max(range.start);
            let size = marked.end.min(range.end()).saturating_sub(start);
            missing.push(PlannedRange { start, size, purpose: Purpose::Full });
        }
    }
    missing.sort_unstable_by_key(|range| range.start);
    missing
}

/// Copies as much of the `missing` memory as is not too much, smallest ranges first.
fn copy_missing(
    arena: &mut Arena,
    missing: &[PlannedRange],
    memory: &ProcessMemory,
    page_size: u64,
    errors: &mut Vec<SoftError>,
) -> io::Result<()> {
    let mut by_size = missing.to_vec();
    by_size.sort_by_key(|range| range.size);
    let mut left = MOST_COPIED;
    let (taken, given_up): (Vec<_>, Vec<_>) = by_size.into_iter().partition(|range| {
        let fits = range.size <= left;
        left -= if fits { range.size } else { 0 };
        fits
    });
    for range in given_up {
        let message = "memory that the program keeps out of forked copies is too large for this kind of dump";
        errors.push(SoftError::new(Stage::Memory, message).range(range.start, range.size));
    }
    arena.copy(&MemoryPlan::from_ranges(taken, Vec::new()), memory, page_size, errors)
}

/// What to say of planned memory that the target writes and shares, also with its copy: it may change meanwhile.
pub fn note_shared(regions: &[Region], plan: &MemoryPlan) -> Option<SoftError> {
    let planned = |region: &Region| -> u64 {
        let overlap =
            |range: &PlannedRange| range.end().min(region.end).saturating_sub(range.start.max(region.start));
        plan.ranges().iter().map(overlap).sum()
    };
    let is_live = |region: &&Region| region.shared && region.protection.contains(Protection::WRITE);
    let shared: u64 = regions.iter().filter(is_live).map(planned).sum();
    (shared > 0).then(|| {
        let message = format!(
            "{shared} bytes are memory that the process shares with others; they may be from after the standstill"
        );
        SoftError::new(Stage::Memory, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::RegionKind;

    fn plan(ranges: &[(u64, u64)]) -> MemoryPlan {
        let range =
            |(start, size): &(u64, u64)| PlannedRange { start: *start, size: *size, purpose: Purpose::Full };
        MemoryPlan::from_ranges(ranges.iter().map(range).collect(), Vec::new())
    }

    fn bounds(ranges: &[PlannedRange]) -> Vec<(u64, u64)> {
        ranges.iter().map(|range| (range.start, range.end())).collect()
    }

    #[test]
    fn what_a_fork_lacks_is_found_where_it_is_planned() {
        let text = b"1000-3000 rw-p 0 0:0 0\nVmFlags: rd dc\n5000-6000 rw-p 0 0:0 0\nVmFlags: rd wf\n\
            8000-9000 rw-p 0 0:0 0\nVmFlags: rd dd\na000-b000 rw-p 0 0:0 0\nVmFlags: rd wf\n";
        let smaps = Smaps::parse(text.as_slice()).unwrap();
        let plan = plan(&[(0x2000, 0x3800), (0x8000, 0x1000)]);
        let missing = missing_in_a_fork(Some(&smaps), &plan);
        assert_eq!(bounds(&missing), [(0x2000, 0x3000), (0x5000, 0x5800)]);
        assert_eq!(missing_in_a_fork(None, &plan), []);
    }

    #[test]
    fn only_shared_memory_that_is_planned_is_reported() {
        let region = |start, end, shared| Region {
            start,
            end,
            protection: Protection::READ | Protection::WRITE,
            shared,
            kind: RegionKind::File,
            dont_dump: false,
            offset: 0,
            name: Vec::new(),
        };
        let regions =
            [region(0x1000, 0x3000, true), region(0x3000, 0x5000, false), region(0x8000, 0x9000, true)];
        let note = note_shared(&regions, &plan(&[(0x2000, 0x3000)])).unwrap();
        assert!(note.message.starts_with("4096 bytes"), "{}", note.message);
        assert_eq!(note_shared(&regions, &plan(&[(0x3000, 0x2000)])), None);
    }
}
