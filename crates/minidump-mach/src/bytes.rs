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
