//! Little-endian encoding and decoding in fixed buffers. Nothing here can panic: what does not fit is left out.

/// Copies as many bytes as both have. Returns how many.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let mut done = 0_usize;
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
        done = done.saturating_add(1);
    }
    done
}

/// A record of `N` bytes that is filled from its start; what was not filled is zero. It is filled in place: a copy for
/// every field, as a debug build would make, is too much for a signal stack.
pub(crate) struct Fields<const N: usize> {
    bytes: [u8; N],
    used: usize,
}

impl<const N: usize> Fields<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], used: 0 }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let done = self.bytes.get_mut(self.used..).map_or(0, |rest| copy(rest, bytes));
        self.used = self.used.saturating_add(done);
        self
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Goes on at `offset`.
    pub(crate) fn at(&mut self, offset: usize) -> &mut Self {
        self.used = offset.min(N);
        self
    }

    pub(crate) fn finish(&self) -> [u8; N] {
        self.bytes
    }

    pub(crate) fn as_bytes(&self) -> &[u8; N] {
        &self.bytes
    }
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// A short text that is put together piece by piece, such as a path. What does not fit is left out.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    used: usize,
}

impl<const N: usize> Text<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], used: 0 }
    }

    pub(crate) fn push(&mut self, text: &[u8]) -> &mut Self {
        let done = self.bytes.get_mut(self.used..).map_or(0, |rest| copy(rest, text));
        self.used = self.used.saturating_add(done);
        self
    }

    /// In decimal digits.
    pub(crate) fn number(&mut self, value: u64) -> &mut Self {
        let mut digits = [0_u8; 20];
        let mut rest = value;
        let mut count = 0_usize;
        for slot in digits.iter_mut().rev() {
            *slot = b'0' | u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            count = count.saturating_add(1);
            if rest == 0 {
                break;
            }
        }
        let start = digits.len().saturating_sub(count);
        self.push(digits.get(start..).unwrap_or_default())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// Nothing was left out, and there is room for one byte more.
    pub(crate) fn has_room(&self) -> bool {
        self.used < N
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_little_endian_and_zero_where_nothing_was_put() {
        let bytes =
            Fields::<16>::new().u16(0x0102).u32(0x0304_0506).at(12).bytes(&[7, 8, 9, 10, 11]).finish();
        assert_eq!(bytes, [2, 1, 6, 5, 4, 3, 0, 0, 0, 0, 0, 0, 7, 8, 9, 10]);
        assert_eq!(u32_at(&bytes, 2), Some(0x0304_0506));
        assert_eq!(u64_at(&bytes, 9), None);
        assert_eq!(u16_at(&bytes, usize::MAX), None);
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 9, 10, 4711, u64::MAX] {
            assert_eq!(
                Text::<32>::new().push(b"n").number(number).as_bytes(),
                format!("n{number}").as_bytes()
            );
        }
        assert_eq!(Text::<3>::new().number(12345).as_bytes(), b"123");
        assert!(!Text::<3>::new().number(123).has_room());
    }
}
