/// A structure of C in the making: little-endian fields, one behind the other. Padding is written by hand.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<u8>);

impl Fields {
    pub(crate) fn with_capacity(size: usize) -> Self {
        Self(Vec::with_capacity(size))
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// The words in their order.
    pub(crate) fn words(self, values: &[u64]) -> Self {
        values.iter().fold(self, |fields, value| fields.u64(*value))
    }

    /// Zeros up to offset `end`.
    pub(crate) fn zeros_to(mut self, end: usize) -> Self {
        if self.0.len() < end {
            self.0.resize(end, 0);
        }
        self
    }

    /// A field of `size` bytes that holds a C string: `text` up to its first NUL, cut so that a NUL follows.
    pub(crate) fn text(self, text: &[u8], size: usize) -> Self {
        let end = self.0.len().saturating_add(size);
        let whole = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let kept = whole.get(..size.saturating_sub(1)).unwrap_or(whole);
        self.bytes(kept).zeros_to(end)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_always_end_in_a_nul() {
        assert_eq!(Fields::default().text(b"abcdef", 4).finish(), b"abc\0");
        assert_eq!(Fields::default().text(b"a\0b", 4).finish(), b"a\0\0\0");
        assert_eq!(Fields::default().u16(7).text(b"", 2).finish(), b"\x07\0\0\0");
    }
}
