//! Numbers, pointers and texts in the target's memory.

use super::layout::PointerSize;
use minidump_snapshot::MemorySource;

/// Reads memory of a target whose structures have pointers of one size.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Where bytes come from.
    pub memory: &'a dyn MemorySource,
    /// Of the structures.
    pub pointer_size: PointerSize,
}

impl Reader<'_> {
    /// At most `size` bytes at `address`: what can be read without a gap.
    #[must_use]
    pub fn bytes(&self, address: u64, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        let done = self.memory.read(address, &mut bytes).done;
        bytes.truncate(done);
        bytes
    }

    /// The structure of `size` bytes at `address`, if all of it can be read.
    #[must_use]
    pub fn structure(&self, address: u64, size: usize) -> Option<Structure> {
        // No structure lies at the end of the address space or at zero.
        if address == 0 || address.checked_add(size as u64).is_none() {
            return None;
        }
        let bytes = self.bytes(address, size);
        (bytes.len() == size).then_some(Structure { bytes, pointer_size: self.pointer_size })
    }
}

/// Bytes of a structure, little-endian.
#[derive(Debug)]
pub struct Structure {
    bytes: Vec<u8>,
    pointer_size: PointerSize,
}

impl Structure {
    /// The 32-bit number at offset `at`; zero behind the end.
    #[must_use]
    pub fn u32(&self, at: usize) -> u32 {
        u32_at(&self.bytes, at).unwrap_or(0)
    }

    /// The pointer, or number of a pointer's size, at offset `at`; zero behind the end.
    #[must_use]
    pub fn pointer(&self, at: usize) -> u64 {
        match self.pointer_size {
            PointerSize::Four => self.u32(at).into(),
            PointerSize::Eight => u64_at(&self.bytes, at).unwrap_or(0),
        }
    }

    /// The `UNICODE_STRING` at offset `at`.
    #[must_use]
    pub fn unicode_string(&self, at: usize) -> UnicodeString {
        UnicodeString {
            length: u16_at(&self.bytes, at).unwrap_or(0),
            address: self.pointer(at.saturating_add(self.pointer_size.bytes())),
        }
    }

    /// The bytes from offset `at` on.
    #[must_use]
    pub fn tail(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or_default()
    }
}

/// `UNICODE_STRING`: where a text in UTF-16 lies. It need not end with a zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnicodeString {
    /// In bytes.
    pub length: u16,
    /// Of the first code unit.
    pub address: u64,
}

impl UnicodeString {
    /// The text, and whether all of it was there. At most `limit` code units are read.
    #[must_use]
    pub fn read(self, reader: &Reader<'_>, limit: usize) -> (String, bool) {
        let wanted = usize::from(self.length / 2).min(limit);
        let bytes = if self.address == 0 { Vec::new() } else { reader.bytes(self.address, wanted * 2) };
        let whole = bytes.len() == usize::from(self.length);
        (text(&units(&bytes)), whole)
    }
}

/// UTF-16 code units, without an odd byte at the end.
#[must_use]
pub fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).filter_map(|pair| u16_at(pair, 0)).collect()
}

/// The text of `units` up to the first zero. What is no character becomes U+FFFD.
#[must_use]
pub fn text(units: &[u16]) -> String {
    let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(units.get(..end).unwrap_or_default())
}

/// The 16-bit little-endian number at offset `at`.
#[must_use]
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The 32-bit little-endian number at offset `at`.
#[must_use]
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The 64-bit little-endian number at offset `at`.
#[must_use]
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
