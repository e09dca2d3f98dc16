use minidump_snapshot::{MemorySource, ReadRequest};
use std::ops::Range;

/// What came of many reads.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    parts: Vec<Range<usize>>,
}

impl Batch {
    /// Reads the ranges (address, size in bytes) in one batch, into one buffer; reads nothing when all are empty. The
    /// caller bounds the sizes.
    #[must_use]
    pub fn read(memory: &dyn MemorySource, ranges: &[(u64, usize)]) -> Self {
        let total = ranges.iter().fold(0usize, |sum, (_, size)| sum.saturating_add(*size));
        let mut bytes = vec![0; total];
        let mut requests = Vec::with_capacity(ranges.len());
        let mut rest = bytes.as_mut_slice();
        for (address, size) in ranges {
            let (buffer, tail) = std::mem::take(&mut rest).split_at_mut_checked(*size).unwrap_or_default();
            requests.push(ReadRequest::new(*address, buffer));
            rest = tail;
        }
        if total > 0 {
            memory.read_batch(&mut requests);
        }
        let mut start = 0usize;
        let part = |request: &ReadRequest<'_>| {
            let range = start..start.saturating_add(request.outcome.done.min(request.buffer.len()));
            start = start.saturating_add(request.buffer.len());
            range
        };
        let parts = requests.iter().map(part).collect();
        Self { bytes, parts }
    }

    /// The bytes that came of the range number `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        self.parts.get(index).and_then(|range| self.bytes.get(range.clone())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minidump_snapshot::BufferSource;

    #[test]
    fn each_range_gets_what_there_is() {
        let mut memory = BufferSource::new();
        assert!(memory.insert(0x1000, vec![1, 2, 3, 4]));
        assert!(memory.insert(0x2000, vec![9]));
        let batch = Batch::read(&memory, &[(0x1002, 8), (0x3000, 4), (0x2000, 1), (0x1000, 0)]);
        assert_eq!(batch.get(0), [3, 4]);
        assert!(batch.get(1).is_empty());
        assert_eq!(batch.get(2), [9]);
        assert!(batch.get(3).is_empty());
        assert!(batch.get(4).is_empty());
    }
}
