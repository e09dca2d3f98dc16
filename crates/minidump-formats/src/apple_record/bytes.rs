//! How the record is written down: numbers in LEB128, seven bits in a byte and the lowest first, and bytes with their number
//! in front.

/// A part of the record in the making.
#[derive(Debug, Default)]
pub(super) struct Encoder(Vec<u8>);

impl Encoder {
    pub(super) fn number(&mut self, value: impl Into<u64>) {
        let mut value = value.into();
        while value >= 0x80 {
            let [lowest, ..] = value.to_le_bytes();
            self.0.push(lowest | 0x80);
            value >>= 7;
        }
        let [lowest, ..] = value.to_le_bytes();
        self.0.push(lowest);
    }

    /// A number of either sign in the sense of two's complement, near zero mostly.
    pub(super) fn signed(&mut self, value: u64) {
        self.number(value << 1 ^ (value.cast_signed() >> 63).cast_unsigned());
    }

    pub(super) fn flag(&mut self, value: bool) {
        self.number(value);
    }

    /// Bytes whose number the reader knows.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    pub(super) fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// A flag, and behind it the number if there is one.
    pub(super) fn optional(&mut self, value: Option<u64>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            self.number(value);
        }
    }

    pub(super) fn optional_bytes(&mut self, bytes: Option<&[u8]>) {
        self.flag(bytes.is_some());
        if let Some(bytes) = bytes {
            self.bytes(bytes);
        }
    }

    /// A part of its own: what it is, its size, its contents.
    pub(super) fn section(&mut self, tag: u64, contents: Self) {
        self.number(tag);
        self.bytes(&contents.finish());
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what an [`Encoder`] has written, or anything else: every method is `None` where the bytes make no sense.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoder<'a>(&'a [u8]);

#[expect(clippy::option_option, reason = "outside: the bytes make sense; inside: the thing is there")]
impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return (value >> shift == bits).then_some(value);
            }
        }
        None
    }

    pub(super) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub(super) fn signed(&mut self) -> Option<u64> {
        let value = self.number()?;
        Some(value >> 1 ^ (value & 1).wrapping_neg())
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn raw(&mut self, size: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn array<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        self.raw(SIZE)?.first_chunk().copied()
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = usize::try_from(self.number()?).ok()?;
        self.raw(size)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    /// Something with a flag in front that tells whether it is there.
    pub(super) fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.flag()? { Some(Some(read(self)?)) } else { Some(None) }
    }

    pub(super) fn optional_number(&mut self) -> Option<Option<u64>> {
        self.optional(Self::number)
    }

    pub(super) fn optional_small(&mut self) -> Option<Option<u32>> {
        self.optional(Self::small)
    }

    pub(super) fn optional_bytes(&mut self) -> Option<Option<Vec<u8>>> {
        self.optional(|bytes| bytes.bytes().map(<[u8]>::to_vec))
    }

    pub(super) fn optional_text(&mut self) -> Option<Option<String>> {
        self.optional(Self::text)
    }

    /// At most `most` elements with their number in front. No room is made before they are there: an element may take many
    /// times as many bytes in memory.
    pub(super) fn list<T>(
        &mut self,
        most: usize,
        mut element: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.number().filter(|count| *count <= most as u64)?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(element(self)?);
        }
        Some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_few_bytes_as_they_need_and_come_back() {
        let sizes = [(0, 1), (127, 1), (128, 2), (0x3fff, 2), (1 << 35, 6), (u64::MAX, 10)];
        for (value, size) in sizes {
            let mut encoder = Encoder::default();
            encoder.number(value);
            let bytes = encoder.finish();
            assert_eq!(bytes.len(), size);
            let mut decoder = Decoder::new(&bytes);
            assert_eq!((decoder.number(), decoder.is_empty()), (Some(value), true));
        }
        for value in [0, 1, 63, u64::MAX, 1 << 63, (1 << 63) - 1] {
            let mut encoder = Encoder::default();
            encoder.signed(value);
            assert_eq!(Decoder::new(&encoder.finish()).signed(), Some(value));
        }
        let mut encoder = Encoder::default();
        encoder.signed(u64::MAX);
        assert_eq!(encoder.finish(), [1]);
    }

    #[test]
    fn what_makes_no_sense_is_nothing() {
        assert_eq!(Decoder::new(&[]).number(), None);
        assert_eq!(Decoder::new(&[0x80]).number(), None);
        assert_eq!(Decoder::new(&[0xff; 10]).number(), None);
        assert_eq!(Decoder::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).number(), None);
        assert_eq!(Decoder::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).small(), None);
        assert_eq!(Decoder::new(&[2]).flag(), None);
        assert_eq!(Decoder::new(&[3, 1, 1]).bytes(), None);
        assert_eq!(Decoder::new(&[1, 0xff]).text(), None);
        assert_eq!(Decoder::new(&[3, 1, 1, 1]).list(2, Decoder::flag), None);
        assert_eq!(Decoder::new(&[3, 1, 1]).list(3, Decoder::flag), None);
        assert_eq!(Decoder::new(&[2, 1, 0]).list(2, Decoder::flag), Some(vec![true, false]));
    }
}
