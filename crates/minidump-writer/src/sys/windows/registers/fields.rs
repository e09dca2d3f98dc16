//! Numbers out of a structure that is known by the offsets of its fields.

/// A structure of a foreign layout, little-endian.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    /// The `N` bytes at `offset`; zeros where there are fewer.
    pub fn array<const N: usize>(self, offset: usize) -> [u8; N] {
        let bytes = offset.checked_add(N).and_then(|end| self.0.get(offset..end));
        bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
    }

    pub fn u16(self, offset: usize) -> u16 {
        u16::from_le_bytes(self.array(offset))
    }

    pub fn u32(self, offset: usize) -> u32 {
        u32::from_le_bytes(self.array(offset))
    }

    pub fn u64(self, offset: usize) -> u64 {
        u64::from_le_bytes(self.array(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_behind_the_end_are_zero() {
        let fields = Fields(&[1, 2, 3, 4]);
        assert_eq!((fields.u16(1), fields.u32(0), fields.u32(1)), (0x0302, 0x0403_0201, 0));
        assert_eq!(fields.u64(usize::MAX), 0);
    }
}
