//! ELF headers and build ids in memory. Every field may be anything.

use crate::bytes::{u16_at, u32_at, u64_at};

const PAGE: u64 = 0x1000;
/// Size of a 64-bit file header and of a program header (gABI).
const HEADER_SIZE: u64 = 64;
pub(crate) const PROGRAM_HEADER_SIZE: u64 = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const NT_GNU_BUILD_ID: u32 = 3;
/// Most note segments of an image that are looked at.
const MAX_NOTES: usize = 8;
/// Longest build id. Linkers write 8, 16, 20 or 32 bytes, or what the user says.
pub(crate) const MAX_BUILD_ID: usize = 64;

/// Where the program headers are, relative to the file header, and how many bytes of them.
pub(crate) fn program_headers(header: &[u8]) -> Option<(u64, u64)> {
    // Magic number, 64 bits, little-endian; executable or shared object.
    let is_elf = header.starts_with(b"\x7fELF\x02\x01") && matches!(u16_at(header, 16)?, 2 | 3);
    let entry_size = u64::from(u16_at(header, 54)?);
    let count = u64::from(u16_at(header, 56)?);
    let offset = u64_at(header, 32)?;
    let is_sound = is_elf && entry_size == PROGRAM_HEADER_SIZE && count > 0 && offset >= HEADER_SIZE;
    is_sound.then(|| (offset, count.saturating_mul(PROGRAM_HEADER_SIZE)))
}

/// A note segment: address and size.
pub(crate) type Span = (u64, u64);

/// What the program headers tell of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First address, and first address behind it.
    pub base: u64,
    pub end: u64,
    pub notes: [Span; MAX_NOTES],
}

/// Reads the program headers in `table`, of an image whose file header is at `address`.
pub(crate) fn extent(address: u64, table: &[u8]) -> Option<Extent> {
    let headers = || table.as_chunks::<56>().0.iter().map(<[u8; 56]>::as_slice);
    let loads = || headers().filter(|header| u32_at(header, 0) == Some(PT_LOAD));
    let span = |header: &[u8]| Some((u64_at(header, 16)?, u64_at(header, 40)?));
    let first = loads().find(|header| u64_at(header, 8).is_some_and(|offset| offset < PAGE))?;
    // The file header lies at offset 0 of the file, and so at this address before relocation.
    let origin = u64_at(first, 16)?.wrapping_sub(u64_at(first, 8)?);
    let bias = address.wrapping_sub(origin);
    let low = loads().filter_map(span).map(|(start, _)| start & !(PAGE - 1)).min()?;
    let mut ends = loads().filter_map(span).map(|(start, size)| start.checked_add(size));
    let high = ends.try_fold(0, |high: u64, end| end.map(|end| high.max(end)))?;
    let high = high.checked_next_multiple_of(PAGE)?;
    let (base, end) = (low.wrapping_add(bias), high.wrapping_add(bias));
    let mut notes = [(0, 0); MAX_NOTES];
    let found = headers().filter(|header| u32_at(header, 0) == Some(PT_NOTE)).filter_map(span);
    for (slot, (start, size)) in notes.iter_mut().zip(found) {
        *slot = (start.wrapping_add(bias), size);
    }
    (base <= address && address < end).then_some(Extent { base, end, notes })
}

/// The GNU build id among the notes in `bytes` (gABI "Note Section").
pub(crate) fn build_id(bytes: &[u8]) -> Option<&[u8]> {
    // Notes are padded to 4 bytes, some to 8, whatever their segment's alignment says.
    find_padded(bytes, 4).or_else(|| find_padded(bytes, 8))
}

fn find_padded(bytes: &[u8], padding: usize) -> Option<&[u8]> {
    let mut at = 0_usize;
    // Every turn goes on by at least the 12 bytes of a note's head.
    loop {
        let name_size = usize::try_from(u32_at(bytes, at)?).ok()?;
        let size = usize::try_from(u32_at(bytes, at.checked_add(4)?)?).ok()?;
        let kind = u32_at(bytes, at.checked_add(8)?)?;
        let name_start = at.checked_add(12)?;
        let name_end = name_start.checked_add(name_size)?;
        let start = round_up(name_end, padding)?;
        let end = start.checked_add(size)?;
        let is_ours = kind == NT_GNU_BUILD_ID && bytes.get(name_start..name_end)? == b"GNU\0";
        if is_ours && (1..=MAX_BUILD_ID).contains(&size) {
            return bytes.get(start..end);
        }
        at = round_up(end, padding)?;
    }
}

/// Up to a multiple of a power of two.
fn round_up(value: usize, padding: usize) -> Option<usize> {
    let mask = padding.wrapping_sub(1);
    Some(value.checked_add(mask)? & !mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn note(name: &[u8], kind: u32, content: &[u8], padding: usize) -> Vec<u8> {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut out = [size(name), size(content), kind.to_le_bytes()].concat();
        for part in [name, content] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(padding), 0);
        }
        out
    }

    fn segment(kind: u32, offset: u64, address: u64, size: u64) -> Vec<u8> {
        let words = [offset, address, address, size, size, 0x1000].map(u64::to_le_bytes).concat();
        [kind.to_le_bytes().to_vec(), 5_u32.to_le_bytes().to_vec(), words].concat()
    }

    #[test]
    fn the_build_id_is_found_behind_other_notes_of_either_padding() {
        for padding in [4, 8] {
            let notes = [note(b"GNU\0", 5, &[2; 12], padding), note(b"GNU\0", 3, &[7; 20], padding)].concat();
            assert_eq!(build_id(&notes), Some([7; 20].as_slice()));
            for length in 0..notes.len() - 4 {
                assert_eq!(build_id(&notes[..length]), None);
            }
        }
    }

    #[test]
    fn the_extent_is_that_of_the_segments_moved_by_the_load_bias() {
        let table = [
            segment(1, 0, 0x40_0000, 0x123),
            segment(4, 0x200, 0x40_0200, 0x24),
            segment(1, 0x1000, 0x40_2000, 0x1001),
        ];
        let extent = extent(0x7f00_0000, &table.concat()).unwrap();
        assert_eq!((extent.base, extent.end), (0x7f00_0000, 0x7f00_4000));
        assert_eq!(extent.notes[..2], [(0x7f00_0200, 0x24), (0, 0)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), address in any::<u64>()) {
            let _ = (program_headers(&bytes), extent(address, &bytes), build_id(&bytes));
        }

        #[test]
        fn hostile_segments_are_survived(offset in any::<u64>(), at in any::<u64>(), size in any::<u64>(), base in any::<u64>()) {
            let table = [segment(1, 0, at, size), segment(1, offset, size, at), segment(4, 0, at, size)].concat();
            if let Some(extent) = extent(base, &table) {
                prop_assert!(extent.base <= base && base < extent.end);
            }
        }
    }
}
