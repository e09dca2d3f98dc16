//! Memory of the dumper that takes the bytes of the plan while the target stands still.

use super::as_before::AsBefore;
use crate::snapshot::{MemoryPlan, MemorySource, PlannedRange, ReadEnd, ReadOutcome, SoftError, Stage};
use std::io;

/// Bytes of a page, behind which a read is tried again after one that could not be read.
const PAGE: u64 = 4096;

/// Most that is made ready before it is known how much is needed, in bytes.
const MOST_PREPARED: usize = 64 << 20;

/// A part of the target's memory that came.
#[derive(Debug, Clone, Copy)]
struct Piece {
    address: u64,
    offset: usize,
    size: usize,
}

/// Copied target memory.
#[derive(Debug, Default)]
pub struct Copied {
    bytes: Vec<u8>,
    /// How many of the bytes are spoken for.
    used: usize,
    /// What came, by ascending address.
    pieces: Vec<Piece>,
}

impl Copied {
    /// Has room for `expected` bytes ready, so that copying as many need not wait for memory.
    pub fn prepare(&mut self, expected: usize) {
        let size = expected.min(MOST_PREPARED);
        let missing = size.saturating_sub(self.bytes.len());
        if self.bytes.try_reserve(missing).is_ok() {
            // Filling touches the pages, which makes the system provide them.
            self.bytes.resize(size.max(self.bytes.len()), 0);
        }
    }

    /// Copies all ranges of `plan` out of `memory`, in addition to what was copied before, which they must not overlap.
    /// Bytes that cannot be read are noted in `soft_errors`, and will not be here either.
    pub fn copy(
        &mut self,
        plan: &MemoryPlan,
        memory: &dyn MemorySource,
        soft_errors: &mut Vec<SoftError>,
    ) -> io::Result<()> {
        let total = usize::try_from(plan.total()).ok().and_then(|total| total.checked_add(self.used));
        let total = total.ok_or(io::ErrorKind::OutOfMemory)?;
        if total > self.bytes.len() {
            let missing = total - self.bytes.len();
            self.bytes.try_reserve_exact(missing).map_err(|_| io::ErrorKind::OutOfMemory)?;
            self.bytes.resize(total, 0);
        }
        for range in plan.ranges() {
            self.copy_range(range, memory, soft_errors);
        }
        self.pieces.sort_unstable_by_key(|piece| piece.address);
        Ok(())
    }

    fn copy_range(
        &mut self,
        range: &PlannedRange,
        memory: &dyn MemorySource,
        soft_errors: &mut Vec<SoftError>,
    ) {
        let offset = self.used;
        let size = usize::try_from(range.size).unwrap_or(usize::MAX);
        let Some(buffer) = self.bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..size)) else { return };
        self.used = offset.saturating_add(size);
        let mut holes = Holes { soft_errors, hole: None };
        let mut start = 0;
        while let Some(rest) = buffer.get_mut(start..).filter(|rest| !rest.is_empty()) {
            let at = range.start.saturating_add(start as u64);
            let outcome = memory.read(at, rest);
            let done = outcome.done.min(rest.len());
            if done > 0 {
                holes.end();
                self.pieces.push(Piece { address: at, offset: offset + start, size: done });
            }
            let left = rest.len() - done;
            let at = at.saturating_add(done as u64);
            let (skip, os_error) = match outcome.end {
                ReadEnd::Gone => (left, None),
                ReadEnd::Unreadable { os_error } => (to_next_page(at).min(left), os_error),
                ReadEnd::Complete => (to_next_page(at).min(left), None),
            };
            holes.add(at, skip, os_error);
            start += done + skip;
        }
        holes.end();
    }

    /// Puts bytes that the capture itself changed back to what they were.
    pub fn restore(&mut self, flags: &AsBefore) {
        for piece in &self.pieces {
            let bytes = self.bytes.get_mut(piece.offset..piece.offset.saturating_add(piece.size));
            flags.put(piece.address, bytes.unwrap_or_default());
        }
    }

    /// Whether every byte of `plan` is here.
    pub fn holds(&self, plan: &MemoryPlan) -> bool {
        plan.ranges().iter().all(|range| self.holds_range(range.start, range.end()))
    }

    /// Forgets what was copied, and keeps the room for other bytes.
    pub fn clear(&mut self) {
        self.used = 0;
        self.pieces.clear();
    }

    fn holds_range(&self, mut start: u64, end: u64) -> bool {
        while start < end {
            let Some(bytes) = self.tail(start) else { return false };
            start = start.saturating_add(bytes.len() as u64);
        }
        true
    }

    /// The bytes from `address` on, up to the end of the piece that contains it.
    fn tail(&self, address: u64) -> Option<&[u8]> {
        let next = self.pieces.partition_point(|piece| piece.address <= address);
        let piece = self.pieces.get(next.checked_sub(1)?)?;
        let bytes = self.bytes.get(piece.offset..piece.offset.checked_add(piece.size)?)?;
        bytes.get(usize::try_from(address - piece.address).ok()?..).filter(|tail| !tail.is_empty())
    }
}

impl MemorySource for Copied {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let tail = address.checked_add(done as u64).and_then(|at| self.tail(at));
            let Some(tail) = tail else { return ReadOutcome::unreadable(done, None) };
            let size = tail.len().min(rest.len());
            if let (Some(to), Some(from)) = (rest.get_mut(..size), tail.get(..size)) {
                to.copy_from_slice(from);
            }
            done += size;
        }
        ReadOutcome::complete(done)
    }

    fn slice(&self, address: u64, size: usize) -> &[u8] {
        let tail = self.tail(address).unwrap_or_default();
        tail.get(..size).unwrap_or(tail)
    }
}

/// Bytes from `address` to the next page, at least one.
fn to_next_page(address: u64) -> usize {
    usize::try_from(PAGE - address % PAGE).unwrap_or(1)
}

/// Reports what did not come, neighbouring pages together.
struct Holes<'a> {
    soft_errors: &'a mut Vec<SoftError>,
    /// First address, bytes, error number.
    hole: Option<(u64, u64, Option<i32>)>,
}

impl Holes<'_> {
    fn add(&mut self, address: u64, size: usize, os_error: Option<i32>) {
        if size > 0 {
            let (start, before, first_error) = self.hole.unwrap_or((address, 0, os_error));
            self.hole = Some((start, before.saturating_add(size as u64), first_error));
        }
    }

    fn end(&mut self) {
        if let Some((address, size, os_error)) = self.hole.take() {
            let error = SoftError::new(Stage::Memory, "memory could not be read");
            self.soft_errors.push(error.range(address, size).os_error(os_error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{BufferSource, Purpose};

    fn plan(ranges: &[(u64, u64)]) -> MemoryPlan {
        let range =
            |(start, size): &(u64, u64)| PlannedRange { start: *start, size: *size, purpose: Purpose::Stack };
        MemoryPlan::from_ranges(ranges.iter().map(range).collect(), Vec::new())
    }

    #[test]
    fn what_lies_behind_an_unreadable_page_is_copied_too_and_the_hole_is_told() {
        let mut memory = BufferSource::new();
        assert!(memory.insert(0x1000, vec![1; 0x800]));
        assert!(memory.insert(0x3000, vec![3; 0x1000]));
        let (mut copied, mut errors) = (Copied::default(), Vec::new());
        copied.prepare(16);
        let plan = plan(&[(0x1000, 0x2800)]);
        copied.copy(&plan, &memory, &mut errors).unwrap();
        let mut bytes = vec![0; 0x2800];
        assert_eq!(copied.read(0x1000, &mut bytes), ReadOutcome::unreadable(0x800, None));
        assert_eq!(copied.read(0x3000, &mut bytes[..0x800]), ReadOutcome::complete(0x800));
        assert_eq!(bytes[..0x800], [3; 0x800]);
        assert!(!copied.holds(&plan));
        let expected = SoftError::new(Stage::Memory, "memory could not be read").range(0x1800, 0x1800);
        assert_eq!(errors, [expected]);
    }

    #[test]
    fn a_second_copy_goes_behind_the_first_and_cleared_room_is_used_again() {
        let mut memory = BufferSource::new();
        assert!(memory.insert(0x1000, vec![1; 0x3000]));
        let (mut copied, mut errors) = (Copied::default(), Vec::new());
        for range in [(0x3000, 0x800), (0x1000, 0x10)] {
            copied.copy(&plan(&[range]), &memory, &mut errors).unwrap();
        }
        assert!(copied.holds(&plan(&[(0x3000, 0x800), (0x1000, 0x10)])));
        assert_eq!(copied.slice(0x1008, 0x100), [1; 8]);
        copied.clear();
        assert!(!copied.holds(&plan(&[(0x1000, 1)])));
        assert_eq!(errors, []);
    }
}
