//! Messages of Mach are made of 32-bit words, those of 64 bits not aligned to more.

/// Reads words one after the other; `None` behind the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'m>(&'m [u8]);

impl<'m> Words<'m> {
    pub fn new(message: &'m [u8]) -> Self {
        Self(message)
    }

    pub fn u32(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*word))
    }

    pub fn u64(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }

    /// As many words as an array has that tells their number first, at most `most`.
    pub fn array(&mut self, most: u32) -> Option<Vec<u32>> {
        let count = self.u32().filter(|count| *count <= most)?;
        (0..count).map(|_| self.u32()).collect()
    }

    pub fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }
}

/// Appends words.
pub(super) fn put(message: &mut Vec<u8>, words: &[u32]) {
    message.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}
