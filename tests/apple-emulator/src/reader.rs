//! Numbers of a file, little-endian.

/// The bytes of a file.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// `size` bytes at `offset`.
    pub fn bytes(self, offset: usize, size: usize) -> Option<&'a [u8]> {
        self.0.get(offset..offset.checked_add(size)?)
    }

    fn array<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.bytes(offset, N)?.try_into().ok()
    }

    pub fn u16(self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub fn u32(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub fn u64(self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// As `u32`, for what is an offset or a size.
    pub fn offset(self, offset: usize) -> Option<usize> {
        self.u32(offset).and_then(|value| usize::try_from(value).ok())
    }

    /// The text at `offset`, which ends with a zero.
    pub fn text(self, offset: usize) -> Option<&'a str> {
        let rest = self.0.get(offset..)?;
        let length = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..length)?).ok()
    }
}
