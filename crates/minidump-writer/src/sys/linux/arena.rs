//! Memory of the dumper that takes the bytes of the plan while the target stands still.
#![allow(unsafe_code)]

use crate::snapshot::{
    MemoryPlan, MemorySource, PlannedRange, ReadEnd, ReadOutcome, ReadRequest, SoftError, Stage,
};
use std::io;
use std::ptr::NonNull;

/// A private anonymous mapping. Untouched pages cost nothing, so that it can be larger than what will be needed.
#[derive(Debug)]
struct Pages {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping is owned by this value alone, like a Vec's buffer.
unsafe impl Send for Pages {}

impl Pages {
    fn new(size: usize) -> io::Result<Self> {
        let size = size.max(1);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { start, size }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Makes the mapping at least `size` bytes large. Its bytes stay; it may move.
    fn grow(&mut self, size: usize) -> io::Result<()> {
        if size <= self.size {
            return Ok(());
        }
        // SAFETY: the old range is this value's own mapping, and `&mut self` means that no slice of it is alive.
        let start =
            unsafe { libc::mremap(self.start.as_ptr().cast(), self.size, size, libc::MREMAP_MAYMOVE) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => {
                (self.start, self.size) = (start, size);
                Ok(())
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Makes the kernel provide the first `size` bytes now instead of at the first touch. Best effort: older kernels
    /// do not know the request.
    fn prefault(&self, size: usize) {
        if size >= HUGE_FROM {
            // SAFETY: the range is the mapping, whose contents are not changed.
            unsafe { libc::madvise(self.start.as_ptr().cast(), self.size, libc::MADV_HUGEPAGE) };
        }
        // SAFETY: the range lies inside the mapping, whose contents are not changed.
        unsafe { libc::madvise(self.start.as_ptr().cast(), size.min(self.size), libc::MADV_POPULATE_WRITE) };
    }

    /// Gives the memory behind the first `size` bytes back. Those bytes read as zeros afterwards.
    fn release_behind(&mut self, size: usize) {
        let page = usize::try_from(super::system::page_size()).unwrap_or(4096);
        let Some(kept) = size.checked_next_multiple_of(page).filter(|kept| *kept < self.size) else { return };
        // SAFETY: the range lies inside the mapping, which `&mut self` makes exclusive, and stays mapped.
        unsafe { libc::madvise(self.start.as_ptr().add(kept).cast(), self.size - kept, libc::MADV_DONTNEED) };
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable, zero-initialised, `size` long, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, writable, and `&mut self` makes it exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this size, and no slice of it can outlive `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}

/// From this size on, the arena is to be made of huge pages: to provide one takes a fraction of the time of its 512 small
/// ones, and no more than one of them remains partly unused.
const HUGE_FROM: usize = 8 << 20;

/// The arena is made ready up to this size; beyond, its pages come as they are touched.
const MOST_PREPARED: usize = 64 << 20;

/// Where a planned range lies in the arena, and which of its bytes came.
#[derive(Debug, Clone, Copy)]
struct Piece {
    address: u64,
    offset: usize,
    size: usize,
}

/// Copied target memory.
#[derive(Debug)]
pub struct Arena {
    pages: Pages,
    /// Bytes at its start that are spoken for.
    used: usize,
    /// What came, by ascending address.
    pieces: Vec<Piece>,
}

impl Arena {
    /// Reserves room for `capacity` bytes. It costs nothing until it is used.
    pub fn new(capacity: usize) -> io::Result<Self> {
        Ok(Self { pages: Pages::new(capacity)?, used: 0, pieces: Vec::new() })
    }

    /// Has room for `expected` bytes ready, so that copying as many need not wait for memory.
    pub fn prepare(&mut self, expected: usize) {
        self.pages.prefault(expected.min(MOST_PREPARED));
    }

    /// Copies all ranges of `plan` out of `memory`, in few system calls, in addition to what was copied before, which
    /// they must not overlap. Bytes that cannot be read are noted in `soft_errors`, and this arena will not have them
    /// either.
    pub fn copy(
        &mut self,
        plan: &MemoryPlan,
        memory: &dyn MemorySource,
        page_size: u64,
        soft_errors: &mut Vec<SoftError>,
    ) -> io::Result<()> {
        let total = usize::try_from(plan.total()).ok().and_then(|total| total.checked_add(self.used));
        self.pages.grow(total.ok_or(io::ErrorKind::OutOfMemory)?)?;
        let mut requests = Vec::with_capacity(plan.ranges().len());
        let mut rest = self.pages.bytes_mut().get_mut(self.used..).unwrap_or_default();
        for range in plan.ranges() {
            let size = usize::try_from(range.size).unwrap_or(usize::MAX).min(rest.len());
            let (buffer, behind) = std::mem::take(&mut rest).split_at_mut(size);
            rest = behind;
            requests.push(ReadRequest::new(range.start, buffer));
        }
        memory.read_batch(&mut requests);
        self.pieces.reserve(requests.len());
        let mut offset = self.used;
        for (request, range) in requests.iter_mut().zip(plan.ranges()) {
            note_pieces(&mut self.pieces, request, range, offset, memory, page_size, soft_errors);
            offset += request.buffer.len();
        }
        self.used = offset;
        self.pieces.sort_unstable_by_key(|piece| piece.address);
        Ok(())
    }

    /// Gives back what was made ready and not used.
    pub fn release_unused(&mut self) {
        self.pages.release_behind(self.used);
    }

    /// Whether the arena holds every byte of `plan`.
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
            let Some(bytes) = self.piece_at(start) else { return false };
            start = start.saturating_add(bytes.len() as u64);
        }
        true
    }

    fn piece_at(&self, address: u64) -> Option<&[u8]> {
        let next = self.pieces.partition_point(|piece| piece.address <= address);
        let piece = self.pieces.get(next.checked_sub(1)?)?;
        let bytes = self.pages.bytes().get(piece.offset..piece.offset.checked_add(piece.size)?)?;
        bytes.get(usize::try_from(address - piece.address).ok()?..).filter(|tail| !tail.is_empty())
    }
}

/// Notes what came of one range; behind an unreadable page it tries the next one.
fn note_pieces(
    pieces: &mut Vec<Piece>,
    request: &mut ReadRequest<'_>,
    range: &PlannedRange,
    offset: usize,
    memory: &dyn MemorySource,
    page_size: u64,
    soft_errors: &mut Vec<SoftError>,
) {
    let mut start = 0;
    let mut outcome = request.outcome;
    let size = request.buffer.len();
    let mut hole: Option<(u64, u64, Option<i32>)> = None;
    loop {
        if outcome.done > 0 {
            pieces.push(Piece {
                address: range.start + start as u64,
                offset: offset + start,
                size: outcome.done,
            });
            report(&mut hole, soft_errors);
        }
        start += outcome.done;
        let at = range.start.saturating_add(start as u64);
        let os_error = match outcome.end {
            _ if start >= size => break,
            ReadEnd::Unreadable { os_error } => os_error,
            ReadEnd::Gone => {
                report(&mut hole, soft_errors);
                hole = Some((at, (size - start) as u64, Some(libc::ESRCH)));
                break;
            }
            ReadEnd::Complete => None,
        };
        let next_page =
            at.checked_next_multiple_of(page_size.max(1)).unwrap_or(u64::MAX).max(at.saturating_add(1));
        let skip = usize::try_from(next_page - at).unwrap_or(usize::MAX).min(size - start);
        let begun = hole.map_or((at, 0, os_error), |hole| hole);
        hole = Some((begun.0, begun.1 + skip as u64, begun.2));
        start += skip;
        let Some(buffer) = request.buffer.get_mut(start..).filter(|rest| !rest.is_empty()) else { break };
        outcome = memory.read(range.start + start as u64, buffer);
    }
    report(&mut hole, soft_errors);
}

fn report(hole: &mut Option<(u64, u64, Option<i32>)>, soft_errors: &mut Vec<SoftError>) {
    if let Some((address, size, os_error)) = hole.take() {
        let error = SoftError::new(Stage::Memory, "memory could not be read");
        soft_errors.push(error.range(address, size).os_error(os_error));
    }
}

impl MemorySource for Arena {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let tail = address.checked_add(done as u64).and_then(|at| self.piece_at(at));
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
        let piece = self.piece_at(address).unwrap_or_default();
        piece.get(..size).unwrap_or(piece)
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
    fn what_is_copied_later_comes_beside_what_was_copied_before() {
        let mut source = BufferSource::new();
        assert!(source.insert(0x1000, (0..=255).collect()));
        assert!(source.insert(0x8000, vec![7; 0x3000]));
        let mut arena = Arena::new(16).unwrap();
        let mut errors = Vec::new();
        let (first, second) = (plan(&[(0x1010, 0x20)]), plan(&[(0x1030, 0x10), (0x8000, 0x3000)]));
        arena.copy(&first, &source, 0x1000, &mut errors).unwrap();
        assert!(arena.holds(&first) && !arena.holds(&second));
        arena.copy(&second, &source, 0x1000, &mut errors).unwrap();
        assert!(arena.holds(&plan(&[(0x1010, 0x30), (0x8000, 0x3000)])));
        assert!(!arena.holds(&plan(&[(0x1010, 0x31)])));
        let mut buffer = [0; 0x30];
        assert_eq!(arena.slice(0x1018, 8), (0x18..0x20).collect::<Vec<u8>>());
        assert_eq!(arena.slice(0x1020, 0x100).len(), 0x10, "up to the end of the piece");
        assert_eq!(arena.slice(0x1040, 1), b"");
        assert_eq!(arena.read(0x1010, &mut buffer), ReadOutcome::complete(0x30));
        assert_eq!(buffer.to_vec(), (0x10..0x40).collect::<Vec<u8>>());
        assert_eq!(errors, []);
    }

    #[test]
    fn copied_ranges_read_back_and_holes_are_reported_by_the_page() {
        let mut source = BufferSource::new();
        assert!(source.insert(0x1000, vec![1; 0x1800]));
        assert!(source.insert(0x4000, vec![2; 0x1000]));
        assert!(source.insert(0x9000, vec![3; 0x10]));
        let mut arena = Arena::new(16).unwrap();
        let mut errors = Vec::new();
        arena
            .copy(&plan(&[(0x1800, 0x3800), (0x9000, 0x10), (0xa000, 8)]), &source, 0x1000, &mut errors)
            .unwrap();
        let holes: Vec<_> = errors.iter().map(|e| (e.address.unwrap(), e.size.unwrap())).collect();
        assert_eq!(holes, [(0x2800, 0x1800), (0xa000, 8)]);
        let mut buffer = [0; 0x1000];
        assert_eq!(arena.read(0x1800, &mut buffer).done, 0x1000);
        assert_eq!(arena.read(0x2700, &mut buffer), ReadOutcome::unreadable(0x100, None));
        assert_eq!(arena.read(0x4000, &mut buffer), ReadOutcome::complete(0x1000));
        assert!(buffer.iter().all(|byte| *byte == 2));
        assert_eq!(arena.read(0x900c, &mut buffer).done, 4);
        assert_eq!(arena.read(0xa000, &mut buffer).done, 0);
        assert_eq!(arena.read(0, &mut buffer).done, 0);
        arena.release_unused();
        assert_eq!(arena.read(0x900c, &mut buffer).done, 4, "what was copied stays");
        assert_eq!(buffer[..4], [3; 4]);
    }
}
