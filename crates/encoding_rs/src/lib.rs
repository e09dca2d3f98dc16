//! UTF-16 in place of all encodings of the web.
//!
//! `minidump` reads its strings by way of the crate `encoding_rs`, two of whose forty encodings it names. Which one is asked
//! for is known only at run time, so the tables of all of them, of Chinese and Japanese for the most part, would be in the
//! program: 145 KB that nothing can ever read. `[patch.crates-io]` in the workspace's `Cargo.toml` takes this crate instead.
//! It has exactly what `minidump` calls; whatever else is called does not compile.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::borrow::Cow;
use alloc::string::String;

/// An encoding.
#[derive(Debug)]
pub struct Encoding {
    /// How two bytes are a code unit.
    unit: fn([u8; 2]) -> u16,
}

/// UTF-16, lower byte first.
pub static UTF_16LE: &Encoding = &Encoding { unit: u16::from_le_bytes };

/// UTF-16, upper byte first.
pub static UTF_16BE: &Encoding = &Encoding { unit: u16::from_be_bytes };

impl Encoding {
    /// The text that `bytes` are; `None` when they are not all of them text. A byte order mark is a character.
    #[must_use]
    pub fn decode_without_bom_handling_and_without_replacement<'a>(
        &'static self,
        bytes: &'a [u8],
    ) -> Option<Cow<'a, str>> {
        let (units, []) = bytes.as_chunks::<2>() else { return None };
        let units = units.iter().map(|unit| (self.unit)(*unit));
        char::decode_utf16(units).collect::<Result<String, _>>().ok().map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
        encoding.decode_without_bom_handling_and_without_replacement(bytes).map(Cow::into_owned)
    }

    #[test]
    fn all_of_unicode_is_read_in_both_orders() {
        for text in ["", "libc.so.6", "Zürich \u{feff}\0", "\u{ffff}\u{10000}\u{1f980}\u{10ffff}"] {
            let units = || text.encode_utf16();
            let (mut little, mut big) = (alloc::vec![], alloc::vec![]);
            units().for_each(|unit| little.extend(unit.to_le_bytes()));
            units().for_each(|unit| big.extend(unit.to_be_bytes()));
            assert_eq!(decoded(UTF_16LE, &little).as_deref(), Some(text));
            assert_eq!(decoded(UTF_16BE, &big).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_text_is_none() {
        for bytes in [&b"a"[..], b"a\0b", b"\x3d\xd8", b"\x3d\xd8a\0", b"\x80\xdd\x3d\xd8"] {
            assert_eq!(decoded(UTF_16LE, bytes), None, "{bytes:?}");
        }
    }
}
