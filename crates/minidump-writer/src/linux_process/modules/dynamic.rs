//! The dynamic section (gABI "Dynamic Section"): where the SONAME and the loader's rendezvous structure are.

use super::elf_image::Class;

/// Most bytes of a dynamic section looked at: 512 entries of the 64-bit layout. Linkers write about 30.
pub const MAX_DYNAMIC: usize = 8192;
/// Most bytes of a SONAME, its NUL included.
pub const MAX_SONAME: usize = 512;

const DT_NULL: u64 = 0;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_SONAME: u64 = 14;
const DT_DEBUG: u64 = 21;

/// The entries that are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// `DT_SONAME`: offset of the name in the string table.
    pub soname: Option<u64>,
    /// `DT_STRTAB`: address of the string table. In memory glibc has relocated it; musl, the vdso and the file have not.
    pub strings: Option<u64>,
    /// `DT_STRSZ`: bytes of the string table.
    pub strings_size: Option<u64>,
    /// `DT_DEBUG`: where `struct r_debug` lies, once the loader has run.
    pub debug: Option<u64>,
}

impl Dynamic {
    /// Parses a dynamic section up to `DT_NULL` or the end of the bytes. Of a repeated entry the first counts.
    #[must_use]
    pub fn parse(bytes: &[u8], class: Class) -> Self {
        let word = match class {
            Class::Elf32 => 4,
            Class::Elf64 => 8,
        };
        let mut dynamic = Self::default();
        for entry in bytes.chunks_exact(2 * word).take(MAX_DYNAMIC / 8) {
            let (Some(tag), Some(value)) = (class.word_at(entry, 0), class.word_at(entry, word)) else {
                break;
            };
            let field = match tag {
                DT_NULL => break,
                DT_STRTAB => &mut dynamic.strings,
                DT_STRSZ => &mut dynamic.strings_size,
                DT_SONAME => &mut dynamic.soname,
                DT_DEBUG => &mut dynamic.debug,
                _ => continue,
            };
            field.get_or_insert(value);
        }
        dynamic
    }

    /// Where the SONAME lies, counted from the start of the string table, and how many bytes may be read there.
    #[must_use]
    pub fn soname_range(&self) -> Option<(u64, usize)> {
        let offset = self.soname?;
        let left = self.strings_size.map_or(Some(u64::MAX), |size| size.checked_sub(offset))?;
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(MAX_SONAME);
        (size > 0).then_some((offset, size))
    }
}

/// The SONAME in the bytes read at its place: up to the NUL; none when it is empty or has no end.
#[must_use]
pub fn soname(bytes: &[u8]) -> Option<String> {
    let name = super::bytes::c_string(bytes)?;
    (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn section(entries: &[(u64, u64)]) -> Vec<u8> {
        entries.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()]).flatten().collect()
    }

    #[test]
    fn entries_are_read_up_to_the_null_entry() {
        let bytes = section(&[(5, 0x100), (10, 0x40), (1, 7), (14, 0x10), (21, 0x7fff), (0, 0), (14, 9)]);
        let dynamic = Dynamic::parse(&bytes, Class::Elf64);
        let expected = Dynamic {
            soname: Some(0x10),
            strings: Some(0x100),
            strings_size: Some(0x40),
            debug: Some(0x7fff),
        };
        assert_eq!(dynamic, expected);
        assert_eq!(dynamic.soname_range(), Some((0x10, 0x30)));
    }

    #[test]
    fn the_32_bit_layout_is_read() {
        let words = [14u32, 5, 5, 0x200, 0, 0, 10, 9];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let dynamic = Dynamic::parse(&bytes, Class::Elf32);
        assert_eq!((dynamic.soname, dynamic.strings, dynamic.strings_size), (Some(5), Some(0x200), None));
        assert_eq!(dynamic.soname_range(), Some((5, MAX_SONAME)));
    }

    #[test]
    fn a_soname_outside_the_string_table_is_none() {
        let outside = Dynamic { soname: Some(0x40), strings_size: Some(0x40), ..Dynamic::default() };
        assert_eq!(outside.soname_range(), None);
        assert_eq!(Dynamic { soname: Some(u64::MAX), ..outside }.soname_range(), None);
        assert_eq!(soname(b"libx.so.1\0rest"), Some("libx.so.1".to_owned()));
        assert_eq!(soname(b"\0rest"), None);
        assert_eq!(soname(b"no end"), None);
        assert_eq!(soname(b"a\xffb\0"), Some("a\u{fffd}b".to_owned()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for class in [Class::Elf32, Class::Elf64] {
                if let Some((_, size)) = Dynamic::parse(&bytes, class).soname_range() {
                    prop_assert!(size <= MAX_SONAME);
                }
            }
            let _ = soname(&bytes);
        }
    }
}
