use super::{MemorySource, ReadOutcome};

/// A [`MemorySource`] over byte vectors: for snapshots built in code, and for memory copied out of a target.
#[derive(Debug, Clone, Default)]
pub struct BufferSource {
    /// Sorted by address, not overlapping.
    pieces: Vec<(u64, Vec<u8>)>,
}

impl BufferSource {
    /// A source without any memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes` at `address`. Returns false, and adds nothing, when they would overlap what is there already or
    /// run over the end of the address space.
    pub fn insert(&mut self, address: u64, bytes: Vec<u8>) -> bool {
        let Some(end) = address.checked_add(bytes.len() as u64) else { return false };
        let at = self.pieces.partition_point(|(start, _)| *start < address);
        let clear_of_next = self.pieces.get(at).is_none_or(|(start, _)| *start >= end);
        let previous = at.checked_sub(1).and_then(|index| self.pieces.get(index));
        let clear_of_previous = previous.is_none_or(|(start, held)| start + held.len() as u64 <= address);
        let free = clear_of_next && clear_of_previous;
        if free {
            self.pieces.insert(at, (address, bytes));
        }
        free
    }

    /// The bytes held from `address` on, up to the end of the piece that contains it.
    fn tail(&self, address: u64) -> Option<&[u8]> {
        let next = self.pieces.partition_point(|(start, _)| *start <= address);
        let (start, bytes) = self.pieces.get(next.checked_sub(1)?)?;
        bytes.get(usize::try_from(address - start).ok()?..).filter(|tail| !tail.is_empty())
    }
}

impl MemorySource for BufferSource {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReadEnd;

    #[test]
    fn a_read_runs_over_adjacent_pieces_and_ends_at_the_first_gap() {
        let mut source = BufferSource::new();
        assert!(source.insert(0x1004, vec![5, 6]));
        assert!(source.insert(0x1000, vec![1, 2, 3, 4]));
        let mut buffer = [0; 8];
        let outcome = source.read(0x1002, &mut buffer);
        assert_eq!(outcome, ReadOutcome { done: 4, end: ReadEnd::Unreadable { os_error: None } });
        assert_eq!(buffer[..4], [3, 4, 5, 6]);
        assert_eq!(source.read(0x0fff, &mut buffer).done, 0);
        assert_eq!(source.read(u64::MAX, &mut buffer).done, 0);
    }

    #[test]
    fn a_slice_ends_with_the_piece_that_it_begins_in() {
        let mut source = BufferSource::new();
        assert!(source.insert(0x1000, vec![1, 2, 3, 4]));
        assert!(source.insert(0x1004, vec![5, 6]));
        assert_eq!(source.slice(0x1002, 1), [3]);
        assert_eq!(source.slice(0x1002, 8), [3, 4]);
        assert_eq!(source.slice(0x1004, usize::MAX), [5, 6]);
        assert_eq!(source.slice(0x0fff, 8), []);
        assert_eq!(source.slice(0x1006, 8), []);
    }

    #[test]
    fn overlapping_pieces_are_refused() {
        let mut source = BufferSource::new();
        assert!(source.insert(0x1000, vec![0; 16]));
        assert!(!source.insert(0x100f, vec![0; 1]));
        assert!(!source.insert(0x0fff, vec![0; 2]));
        assert!(!source.insert(u64::MAX, vec![0; 2]));
        assert!(source.insert(0x1010, vec![0; 1]));
    }
}
