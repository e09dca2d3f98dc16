//! The GNU build id in a note (gABI "Note Section"; binutils, `NT_GNU_BUILD_ID`).

use super::bytes::u32_at;
use super::elf_image::Span;

/// Longest build id accepted. Linkers write 8, 16, 20 or 32 bytes, or what the user says.
pub const MAX_BUILD_ID: usize = 256;
/// Most bytes of one note segment looked at.
pub const MAX_NOTE_SEGMENT: usize = 16 * 1024;

const NT_GNU_BUILD_ID: u32 = 3;
/// namesz, descsz and type, 4 bytes each, in both ELF classes.
const NOTE_HEADER: usize = 12;

/// How many bytes of the note segment `span` are to be read.
#[must_use]
pub fn note_size(span: &Span) -> usize {
    usize::try_from(span.size).unwrap_or(usize::MAX).min(MAX_NOTE_SEGMENT)
}

/// The build id among the notes in `bytes`, whose segment or section is aligned to `align`.
#[must_use]
pub fn find(bytes: &[u8], align: u64) -> Option<Vec<u8>> {
    // Notes are padded to 4 bytes, in segments of alignment 8 to 8. Some linkers say one and do the other.
    let [declared, other] = if align == 8 { [8, 4] } else { [4, 8] };
    find_padded(bytes, declared).or_else(|| find_padded(bytes, other)).map(<[u8]>::to_vec)
}

fn find_padded(bytes: &[u8], padding: usize) -> Option<&[u8]> {
    let mut at = 0usize;
    while at < bytes.len() {
        let name_size = usize::try_from(u32_at(bytes, at)?).ok()?;
        let size = usize::try_from(u32_at(bytes, at.checked_add(4)?)?).ok()?;
        let kind = u32_at(bytes, at.checked_add(8)?)?;
        let name_start = at.checked_add(NOTE_HEADER)?;
        let name_end = name_start.checked_add(name_size)?;
        // Padding counts from the start of the note, which itself is aligned.
        let start = name_end.checked_next_multiple_of(padding)?;
        let end = start.checked_add(size)?;
        if kind == NT_GNU_BUILD_ID && bytes.get(name_start..name_end)? == b"GNU\0" {
            let id = bytes.get(start..end)?;
            if (1..=MAX_BUILD_ID).contains(&id.len()) {
                return Some(id);
            }
        }
        at = end.checked_next_multiple_of(padding)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn note(name: &[u8], kind: u32, content: &[u8], padding: usize) -> Vec<u8> {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).expect("short").to_le_bytes();
        let mut out = [size(name), size(content), kind.to_le_bytes()].concat();
        for part in [name, content] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(padding), 0);
        }
        out
    }

    #[test]
    fn the_build_id_is_found_behind_other_notes() {
        let id: Vec<u8> = (1..=20).collect();
        let notes = [
            note(b"GNU\0", 1, &[0; 16], 4),
            note(b"stapsdt\0", 3, &[1; 5], 4),
            note(b"GNU\0", 3, &id, 4),
            note(b"GNU\0", 3, &[7; 20], 4),
        ];
        assert_eq!(find(&notes.concat(), 4), Some(id));
    }

    #[test]
    fn notes_padded_to_eight_bytes_are_read() {
        let property = note(b"GNU\0", 5, &[2; 12], 8);
        let notes = [property, note(b"GNU\0", 3, &[7; 19], 8)].concat();
        assert_eq!(find(&notes, 8), Some(vec![7; 19]));
        assert_eq!(find(&notes, 4), Some(vec![7; 19]));
        assert_eq!(
            find(&[note(b"GNU\0", 5, &[2; 4], 4), note(b"GNU\0", 3, &[7; 20], 4)].concat(), 8),
            Some(vec![7; 20])
        );
    }

    #[test]
    fn lengths_from_one_byte_to_the_bound_are_taken() {
        for length in [1, 8, 16, 20, 32, 64, 65, MAX_BUILD_ID] {
            assert_eq!(find(&note(b"GNU\0", 3, &vec![5; length], 4), 4), Some(vec![5; length]));
        }
        for length in [0, MAX_BUILD_ID + 1] {
            assert_eq!(find(&note(b"GNU\0", 3, &vec![5; length], 4), 4), None);
        }
    }

    #[test]
    fn a_truncated_build_id_is_no_build_id() {
        let bytes = note(b"GNU\0", 3, &[5; 20], 4);
        for length in 0..bytes.len() {
            assert_eq!(find(&bytes[..length], 4), None);
        }
    }

    #[test]
    fn hostile_sizes_end_the_search() {
        for sizes in [[u32::MAX, 0], [0, u32::MAX], [u32::MAX, u32::MAX], [u32::MAX - 11, u32::MAX - 3]] {
            let bytes = [sizes[0].to_le_bytes(), sizes[1].to_le_bytes(), 3u32.to_le_bytes(), [0; 4]].concat();
            assert_eq!(find(&bytes, 4), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), align in any::<u64>()) {
            let _ = find(&bytes, align);
        }

        #[test]
        fn mutated_notes_are_survived(at in 0usize..64, value in any::<u8>(), align in 0u64..9) {
            let mut bytes = [note(b"GNU\0", 1, &[0; 16], 4), note(b"GNU\0", 3, &[9; 20], 4)].concat();
            let at = at % bytes.len();
            bytes[at] = value;
            if let Some(id) = find(&bytes, align) {
                prop_assert!((1..=MAX_BUILD_ID).contains(&id.len()));
            }
        }
    }
}
