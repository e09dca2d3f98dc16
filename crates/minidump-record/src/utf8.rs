//! Decoding of UTF-8 that may be anything: paths are bytes, and annotations may have been overwritten.

/// Stands for what is no UTF-8.
pub(crate) const REPLACEMENT: u32 = 0xfffd;

/// The code points of `bytes`. A byte that begins none stands for [`REPLACEMENT`] alone.
pub(crate) fn code_points(bytes: &[u8]) -> CodePoints<'_> {
    CodePoints { rest: bytes }
}

pub(crate) struct CodePoints<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for CodePoints<'a> {
    /// The code point, and its bytes when they are valid.
    type Item = (u32, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.rest.first()?;
        let decoded = decode(first, self.rest);
        let size = decoded.map_or(1, |(_, size)| size);
        let bytes = self.rest.get(..size);
        self.rest = self.rest.get(size..).unwrap_or_default();
        Some(decoded.map_or((REPLACEMENT, None), |(point, _)| (point, bytes)))
    }
}

/// The code point at the start of `bytes` and its length (RFC 3629 §4).
fn decode(first: u8, bytes: &[u8]) -> Option<(u32, usize)> {
    let (size, least, head) = match first {
        0..=0x7f => return Some((first.into(), 1)),
        0xc2..=0xdf => (2, 0x80, first & 0x1f),
        0xe0..=0xef => (3, 0x800, first & 0xf),
        0xf0..=0xf4 => (4, 0x1_0000, first & 7),
        _ => return None,
    };
    let mut point = u32::from(head);
    for byte in bytes.get(1..size)? {
        if byte & 0xc0 != 0x80 {
            return None;
        }
        point = point << 6 | u32::from(byte & 0x3f);
    }
    let is_surrogate = (0xd800..=0xdfff).contains(&point);
    ((least..=0x10_ffff).contains(&point) && !is_surrogate).then_some((point, size))
}

/// The code point as one or two UTF-16 code units; the second is `None` for one.
pub(crate) fn utf16(point: u32) -> (u16, Option<u16>) {
    let unit = |value: u32| u16::try_from(value).unwrap_or(0xfffd);
    match point.checked_sub(0x1_0000) {
        None => (unit(point), None),
        Some(high) => (unit(0xd800 | high >> 10), Some(unit(0xdc00 | high & 0x3ff))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    fn units(bytes: &[u8]) -> Vec<u16> {
        let pairs = code_points(bytes).map(|(point, _)| utf16(point));
        pairs.flat_map(|(first, second)| core::iter::once(first).chain(second)).collect()
    }

    proptest! {
        #[test]
        fn text_becomes_the_utf16_that_the_standard_library_makes(text in ".{0,40}") {
            prop_assert_eq!(units(text.as_bytes()), text.encode_utf16().collect::<Vec<_>>());
        }

        #[test]
        fn what_is_said_to_be_valid_is_valid(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let valid: Vec<u8> = code_points(&bytes).filter_map(|(_, bytes)| bytes).flatten().copied().collect();
            prop_assert!(String::from_utf8(valid).is_ok());
            let expected = std::str::from_utf8(&bytes).is_ok();
            prop_assert_eq!(code_points(&bytes).all(|(_, bytes)| bytes.is_some()), expected);
        }
    }
}
