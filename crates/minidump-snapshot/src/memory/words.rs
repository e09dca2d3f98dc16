use super::MemorySource;

/// Reads the aligned words of memory, piece by piece through one buffer.
pub(crate) struct WordReader<'a> {
    memory: &'a dyn MemorySource,
    word_size: usize,
    buffer: Vec<u8>,
}

impl<'a> WordReader<'a> {
    /// Most bytes that are held at a time; a multiple of every page size in use but the largest.
    const BUFFER_SIZE: usize = 64 << 10;

    /// A reader of words of `word_size` bytes, which is 4 or 8.
    pub(crate) fn new(memory: &'a dyn MemorySource, word_size: usize) -> Self {
        Self { memory, word_size, buffer: vec![0; Self::BUFFER_SIZE] }
    }

    /// Calls `take` with each aligned word from `start` up to `end`, in order, until it returns false or no more
    /// memory can be read. Returns false when `take` did.
    pub(crate) fn each(&mut self, (start, end): (u64, u64), mut take: impl FnMut(u64) -> bool) -> bool {
        let word_size = self.word_size as u64;
        let Some(mut at) = start.checked_next_multiple_of(word_size) else { return true };
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(self.buffer.len());
            let Some(buffer) = self.buffer.get_mut(..wanted) else { return true };
            let done = self.memory.read(at, buffer).done;
            let Some(bytes) = buffer.get(..done) else { return true };
            if !bytes.chunks_exact(self.word_size).all(|word| take(number(word))) {
                return false;
            }
            let whole = done - done % self.word_size;
            if whole == 0 || done < wanted {
                return true;
            }
            at = at.saturating_add(whole as u64);
        }
        true
    }
}

/// A little-endian number of at most eight bytes.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    match bytes.try_into() {
        Ok(bytes) => u64::from_le_bytes(bytes),
        Err(_) => bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BufferSource;

    /// Words that each hold their own address.
    fn source(start: u64, words: u64) -> BufferSource {
        let mut source = BufferSource::new();
        let bytes = (0..words).flat_map(|index| (start + 8 * index).to_le_bytes()).collect();
        assert!(source.insert(start, bytes));
        source
    }

    fn words(source: &BufferSource, bounds: (u64, u64)) -> Vec<u64> {
        let mut found = Vec::new();
        let keep = |word| {
            found.push(word);
            true
        };
        assert!(WordReader::new(source, 8).each(bounds, keep));
        found
    }

    #[test]
    fn only_whole_aligned_words_count() {
        let source = source(0x1000, 4);
        assert_eq!(words(&source, (0x1000, 0x1020)), [0x1000, 0x1008, 0x1010, 0x1018]);
        assert_eq!(words(&source, (0x1001, 0x101f)), [0x1008, 0x1010]);
        assert_eq!(words(&source, (0x1019, 0x1020)), []);
        assert_eq!(words(&source, (0x1018, 0x2000)), [0x1018], "memory ends there");
        assert_eq!(words(&source, (0x2000, 0x1000)), []);
        assert_eq!(words(&source, (u64::MAX - 3, u64::MAX)), []);
    }

    #[test]
    fn memory_larger_than_the_buffer_is_read_on() {
        let source = source(0x10_0000, 20_000);
        let expected: Vec<u64> = (0..20_000).map(|index| 0x10_0000 + 8 * index).collect();
        assert!(words(&source, (0x10_0000, 0x20_0000)) == expected);
    }

    #[test]
    fn whoever_takes_the_words_can_stop() {
        let source = source(0x1000, 4);
        let mut found = Vec::new();
        let take = |word| {
            found.push(word);
            word < 0x1008
        };
        assert!(!WordReader::new(&source, 8).each((0x1000, 0x1020), take));
        assert_eq!(found, [0x1000, 0x1008]);
    }

    #[test]
    fn words_of_four_bytes_are_numbers_without_a_sign() {
        let mut source = BufferSource::new();
        assert!(source.insert(0x1000, vec![1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff]));
        let mut found = Vec::new();
        WordReader::new(&source, 4).each((0x1000, 0x1008), |word| {
            found.push(word);
            true
        });
        assert_eq!(found, [0x0403_0201, 0xffff_ffff]);
    }
}
