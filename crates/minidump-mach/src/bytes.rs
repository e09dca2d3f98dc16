//! Little-endian numbers in foreign bytes and words.

/// `N` bytes at `offset`.
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// Two words as one number, the lower first.
pub fn pair(words: &[u32], index: usize) -> Option<u64> {
    let low = words.get(index)?;
    let high = words.get(index.checked_add(1)?)?;
    Some(u64::from(*low) | u64::from(*high) << 32)
}

/// The lower half of a number.
pub fn low_half(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or_default()
}

/// The upper half of a number.
pub fn high_half(value: u64) -> u32 {
    u32::try_from(value >> 32).unwrap_or_default()
}

/// The bytes up to the first zero.
pub fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The bytes of `words`, in the order of memory.
pub fn bytes_of(words: &[u32]) -> impl Iterator<Item = u8> {
    words.iter().flat_map(|word| word.to_le_bytes())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A structure of `size` bytes as words, zero but for the given bytes at their offsets.
    pub fn words_with(size: usize, fields: &[(usize, &[u8])]) -> Vec<u32> {
        let bytes = bytes_with(size, fields);
        bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    /// The same as bytes.
    pub fn bytes_with(size: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; size];
        for (offset, field) in fields {
            bytes[*offset..offset + field.len()].copy_from_slice(field);
        }
        bytes
    }

    #[test]
    fn numbers_are_read_only_where_all_of_their_bytes_are() {
        let bytes = [1, 0, 0, 0, 0, 0, 0, 0x80, 9];
        assert_eq!((u16_at(&bytes, 7), u16_at(&bytes, 8)), (Some(0x0980), None));
        assert_eq!((u32_at(&bytes, 5), u32_at(&bytes, 6)), (Some(0x0980_0000), None));
        assert_eq!((u64_at(&bytes, 0), u64_at(&bytes, usize::MAX)), (Some(1 << 63 | 1), None));
        assert_eq!((pair(&[1, 2], 0), pair(&[1, 2], 1)), (Some(2 << 32 | 1), None));
        assert_eq!((low_half(2 << 32 | 1), high_half(2 << 32 | 1)), (1, 2));
        assert_eq!((until_zero(b"ab\0c"), until_zero(b"ab")), (&b"ab"[..], &b"ab"[..]));
    }
}
