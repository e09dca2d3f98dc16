//! `NT_FILE`: which files are mapped where.

use crate::convert::words::u64_at;

/// Most entries that are read.
const MAX_ENTRIES: u64 = 1 << 20;

/// A mapping of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedFile {
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Path.
    pub name: Vec<u8>,
}

/// The entries that make sense, by address, without overlaps.
pub fn parse(bytes: &[u8]) -> Vec<MappedFile> {
    let (Some(count), Some(page)) = (u64_at(bytes, 0), u64_at(bytes, 8)) else { return Vec::new() };
    let count = usize::try_from(count.min(MAX_ENTRIES)).unwrap_or(0);
    let names_at = count.saturating_mul(24).saturating_add(16);
    let mut names = bytes.get(names_at..).unwrap_or_default().split(|byte| *byte == 0);
    let mut files = Vec::new();
    for index in 0..count {
        let word = |field: usize| u64_at(bytes, 16 + 24 * index + 8 * field);
        let (Some(start), Some(end), Some(pages)) = (word(0), word(1), word(2)) else { break };
        let Some(name) = names.next() else { break };
        let Some(offset) = pages.checked_mul(page) else { continue };
        if start < end && name.starts_with(b"/") {
            files.push(MappedFile { start, end, offset, name: name.to_vec() });
        }
    }
    files.sort_by_key(|file| file.start);
    let mut floor = 0;
    files.retain(|file| {
        let is_free = file.start >= floor;
        floor = if is_free { file.end } else { floor };
        is_free
    });
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(words: &[u64], names: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(names);
        bytes
    }

    #[test]
    fn entries_come_by_address_with_offsets_in_bytes() {
        let bytes = note(&[2, 4096, 0x5000, 0x6000, 3, 0x1000, 0x2000, 0], b"/b\0/a\0");
        let file = |start, end, offset, name: &[u8]| MappedFile { start, end, offset, name: name.to_vec() };
        assert_eq!(parse(&bytes), [file(0x1000, 0x2000, 0, b"/a"), file(0x5000, 0x6000, 0x3000, b"/b")]);
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        assert_eq!(parse(&note(&[u64::MAX, u64::MAX, 1, 2, 3], b"")), []);
        let words = [3, 4096, 0x1000, 0x3000, 0, 0x2000, 0x4000, 0, 0x9000, 0x8000, 0];
        assert_eq!(parse(&note(&words, b"/a\0/b\0/c\0")).len(), 1);
        assert_eq!(parse(&note(&[1, u64::MAX, 1, 2, 3], b"/a\0")), []);
        assert_eq!(parse(b"short"), []);
    }
}
