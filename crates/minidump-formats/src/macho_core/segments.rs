//! Which segments the plan makes.

use minidump_snapshot::{PlannedRange, Protection, Region};

/// Memory of one protection that lies in one piece in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// First address.
    pub address: u64,
    /// Size in bytes, never zero.
    pub size: u64,
    /// Offset in the file, from the first byte of memory on.
    pub offset: u64,
    /// What the region allows.
    pub protection: Protection,
}

/// The segments by address. The bytes of `ranges` lie back to back in the file. What the plan keeps outside the map
/// counts as readable: somebody has read it.
pub(crate) fn segments(regions: &[Region], ranges: &[PlannedRange]) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(ranges.len());
    let mut offset = 0_u64;
    for range in ranges {
        cut(regions, range, offset, &mut segments);
        offset = offset.saturating_add(range.size);
    }
    segments.sort_unstable_by_key(|segment| segment.address);
    segments
}

/// Cuts `range` where the protection changes.
fn cut(regions: &[Region], range: &PlannedRange, offset: u64, segments: &mut Vec<Segment>) {
    let mut current: Option<Segment> = None;
    let mut position = range.start;
    while position < range.end() {
        let (end, protection) = stretch(regions, position);
        let size = end.min(range.end()).saturating_sub(position);
        match &mut current {
            Some(segment) if segment.protection == protection => {
                segment.size = segment.size.saturating_add(size);
            }
            _ => {
                let into = position.saturating_sub(range.start);
                let next =
                    Segment { address: position, size, offset: offset.saturating_add(into), protection };
                segments.extend(current.replace(next));
            }
        }
        position = position.saturating_add(size);
    }
    segments.extend(current);
}

/// The protection at `position`, and up to where, which is above `position`, it holds at least.
fn stretch(regions: &[Region], position: u64) -> (u64, Protection) {
    let index = regions.partition_point(|region| region.end <= position);
    match regions.get(index) {
        Some(region) if region.contains(position) => (region.end, region.protection),
        Some(region) if region.start > position => (region.start, Protection::READ),
        // No region, or a list that is not sorted.
        _ => (u64::MAX, Protection::READ),
    }
}
