use crate::memory::TaskMemory;
use minidump_snapshot::{MemoryPlan, MemorySource, PlannedRange, Purpose, ReadOutcome, SoftError, Stage};

/// Ranges of code that lie at most so far apart are read with what is between them.
const GAP: u64 = 4096;

/// Most bytes that are read at a time for the sake of some of them.
const MOST_SPAN: u64 = 64 << 10;

/// Memory that was copied out of a task.
#[derive(Debug, Clone, Default)]
pub struct Copied {
    /// Address and bytes, sorted by address, not overlapping.
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Copied {
    /// Copies the ranges of `plan`, which must not overlap what was copied before. What cannot be read is reported.
    pub fn copy(&mut self, plan: &MemoryPlan, memory: &TaskMemory<'_>, errors: &mut Vec<SoftError>) {
        let mut ranges = plan.ranges().to_vec();
        ranges.sort_by_key(|range| range.start);
        let mut rest = ranges.as_slice();
        while !rest.is_empty() {
            let count = neighbours(rest);
            let (together, behind) = rest.split_at(count.max(1));
            rest = behind;
            if count < 2 || !self.copy_together(together, memory) {
                for range in together {
                    self.copy_one(range, memory, errors);
                }
            }
        }
        self.pieces.sort_by_key(|(start, _)| *start);
    }

    /// Copies neighbouring ranges by one read. False, and nothing is copied, when that fails.
    fn copy_together(&mut self, ranges: &[PlannedRange], memory: &TaskMemory<'_>) -> bool {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return false };
        let size = usize::try_from(last.end().saturating_sub(first.start)).unwrap_or_default();
        let Ok(bytes) = memory.read_vec(first.start, size) else { return false };
        for range in ranges {
            let at =
                |address: u64| usize::try_from(address.saturating_sub(first.start)).unwrap_or(usize::MAX);
            if let Some(part) = bytes.get(at(range.start)..at(range.end())) {
                self.pieces.push((range.start, part.to_vec()));
            }
        }
        true
    }

    fn copy_one(&mut self, range: &PlannedRange, memory: &TaskMemory<'_>, errors: &mut Vec<SoftError>) {
        let Ok(size) = usize::try_from(range.size) else { return };
        let mut bytes = vec![0; size];
        let mut done = 0;
        // One page that cannot be read does not take those behind it away.
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = range.start.saturating_add(done as u64);
            let (came, error) = memory.read_some(at, rest);
            if came > 0 {
                self.pieces.push((at, rest.get(..came).unwrap_or_default().to_vec()));
            }
            done = done.saturating_add(came);
            let Some(error) = error else { break };
            let hole = range.start.saturating_add(done as u64);
            let next = (hole / PAGE).saturating_add(1).saturating_mul(PAGE);
            let behind = usize::try_from(next.saturating_sub(range.start)).unwrap_or(usize::MAX).min(size);
            let message = format!("memory cannot be read: {error}");
            let lost = behind.saturating_sub(done);
            note_hole(
                SoftError::new(Stage::Memory, message).range(hole, lost as u64).os_error(Some(error.0)),
                errors,
            );
            done = behind.max(done.saturating_add(1));
        }
    }

    /// Whether every byte of `plan` is there.
    pub fn holds(&self, plan: &MemoryPlan) -> bool {
        plan.ranges().iter().all(|range| {
            let mut at = range.start;
            while at < range.end() {
                let tail = self.tail(at).len() as u64;
                if tail == 0 {
                    return false;
                }
                at = at.saturating_add(tail);
            }
            true
        })
    }

    /// The bytes from `address` on, up to the end of the piece that contains it.
    fn tail(&self, address: u64) -> &[u8] {
        let next = self.pieces.partition_point(|(start, _)| *start <= address);
        let piece = next.checked_sub(1).and_then(|index| self.pieces.get(index));
        let tail = piece.and_then(|(start, bytes)| bytes.get(usize::try_from(address - start).ok()?..));
        tail.unwrap_or_default()
    }

    /// First address above `address` that was copied.
    pub fn next_above(&self, address: u64) -> Option<u64> {
        let next = self.pieces.partition_point(|(start, _)| *start <= address);
        self.pieces.get(next).map(|(start, _)| *start)
    }

    /// A word of eight bytes.
    pub fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        (self.read(address, &mut bytes).done == 8).then(|| u64::from_le_bytes(bytes))
    }
}

const PAGE: u64 = 4096;

/// Appends `hole` to the last soft error when it continues that one.
fn note_hole(hole: SoftError, errors: &mut Vec<SoftError>) {
    if let Some(last) = errors.last_mut()
        && last.message == hole.message
        && last.address.zip(last.size).map(|(start, size)| start.saturating_add(size)) == hole.address
    {
        last.size = last.size.zip(hole.size).map(|(size, more)| size.saturating_add(more));
        return;
    }
    errors.push(hole);
}

/// How many ranges at the start of the sorted list lie close together and are small.
fn neighbours(ranges: &[PlannedRange]) -> usize {
    let Some(first) = ranges.first() else { return 0 };
    let is_small = |range: &PlannedRange| !range.purpose.is_stack() && range.purpose != Purpose::Full;
    let mut end = first.start;
    let close = ranges.iter().take_while(|range| {
        let close =
            range.start.saturating_sub(end) <= GAP && range.end().saturating_sub(first.start) <= MOST_SPAN;
        end = range.end();
        close && is_small(range)
    });
    close.count()
}

impl MemorySource for Copied {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(at) = address.checked_add(done as u64) else {
                return ReadOutcome::unreadable(done, None);
            };
            let tail = self.tail(at);
            let size = tail.len().min(rest.len());
            if size == 0 {
                return ReadOutcome::unreadable(done, None);
            }
            if let (Some(to), Some(from)) = (rest.get_mut(..size), tail.get(..size)) {
                to.copy_from_slice(from);
            }
            done += size;
        }
        ReadOutcome::complete(done)
    }

    fn slice(&self, address: u64, size: usize) -> &[u8] {
        let tail = self.tail(address);
        tail.get(..size).unwrap_or(tail)
    }
}
