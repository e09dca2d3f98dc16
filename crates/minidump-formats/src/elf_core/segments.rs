//! Which segments the memory map and the plan make.

use super::elf::{EXECUTABLE, READABLE, Segment, WRITABLE};
use minidump_snapshot::{PlannedRange, Protection, Region};

/// A range of the plan and where its bytes lie in the file.
#[derive(Debug, Clone, Copy)]
struct Kept {
    start: u64,
    end: u64,
    offset: u64,
}

impl Kept {
    fn segment(&self, from: u64, to: u64, flags: u32) -> Segment {
        let offset = self.offset.saturating_add(from.saturating_sub(self.start));
        let size = to.saturating_sub(from);
        Segment { address: from, memory_size: size, offset, file_size: size, flags }
    }
}

/// All segments, by address. The bytes of `ranges` lie back to back in the file, from offset `memory` on.
///
/// Every byte of the map is in exactly one segment, and every byte of the plan in one with contents. What the plan
/// keeps outside the map counts as readable: somebody has read it.
pub(crate) fn segments(regions: &[Region], ranges: &[PlannedRange], memory: u64) -> Vec<Segment> {
    let mut offset = memory;
    let mut kept = Vec::with_capacity(ranges.len());
    for range in ranges {
        kept.push(Kept { start: range.start, end: range.end(), offset });
        offset = offset.saturating_add(range.size);
    }
    kept.sort_unstable_by_key(|range| range.start);
    let mut walk = Walk { kept: &kept, position: 0, segments: Vec::with_capacity(regions.len()) };
    for region in regions {
        walk.region(region);
    }
    walk.unmapped(u64::MAX);
    walk.segments
}

struct Walk<'a> {
    /// Ranges that are not behind us yet.
    kept: &'a [Kept],
    /// All below is in a segment, or neither mapped nor kept.
    position: u64,
    segments: Vec<Segment>,
}

impl Walk<'_> {
    fn region(&mut self, region: &Region) {
        let start = region.start.max(self.position);
        if start >= region.end {
            return;
        }
        self.unmapped(start);
        self.position = start;
        let flags = flags(region.protection);
        while self.position < region.end {
            self.skip_behind();
            let next = self.kept.first().filter(|next| next.start < region.end);
            match next {
                Some(next) if next.start <= self.position => {
                    self.push(next.segment(self.position, next.end.min(region.end), flags));
                }
                next => {
                    let size = next.map_or(region.end, |next| next.start) - self.position;
                    let address = self.position;
                    self.push(Segment { address, memory_size: size, offset: 0, file_size: 0, flags });
                }
            }
        }
    }

    /// Segments for what is kept between here and `end`, where nothing is mapped.
    fn unmapped(&mut self, end: u64) {
        self.skip_behind();
        while let Some(next) = self.kept.first().filter(|next| next.start.max(self.position) < end) {
            let from = next.start.max(self.position);
            self.push(next.segment(from, next.end.min(end), READABLE));
            if next.end > end {
                break;
            }
            self.skip_behind();
        }
    }

    fn push(&mut self, segment: Segment) {
        self.position = segment.address.saturating_add(segment.memory_size);
        self.segments.push(segment);
    }

    fn skip_behind(&mut self) {
        let behind = self.kept.iter().take_while(|range| range.end <= self.position).count();
        self.kept = self.kept.get(behind..).unwrap_or_default();
    }
}

fn flags(protection: Protection) -> u32 {
    let rights =
        [(Protection::READ, READABLE), (Protection::WRITE, WRITABLE), (Protection::EXECUTE, EXECUTABLE)];
    rights.iter().filter(|(right, _)| protection.contains(*right)).fold(0, |flags, (_, flag)| flags | flag)
}
