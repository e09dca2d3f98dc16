//! Texts as the format has them.

use crate::output::{Full, Output};
use crate::utf8::{code_points, utf16};

/// Longest text, in UTF-16 code units. The Breakpad processor refuses a whole list of modules for a longer name.
const MAX_UNITS: u32 = 1024;

/// Appends a `MINIDUMP_STRING` (minidumpapiset.h): length in bytes, UTF-16, a zero that the length does not count. Of
/// a text that is too long the end is kept, which of a path tells the file. Returns its offset.
pub(crate) fn append_utf16(out: &mut Output<'_>, text: &[u8]) -> Result<u32, Full> {
    let units = |point: u32| 1 + u32::from(utf16(point).1.is_some());
    let total = code_points(text).fold(0_u32, |sum, (point, _)| sum.saturating_add(units(point)));
    let mut surplus = total.saturating_sub(MAX_UNITS);
    let mut kept = total;
    for (point, _) in code_points(text) {
        if surplus == 0 {
            break;
        }
        surplus = surplus.saturating_sub(units(point));
        kept = kept.saturating_sub(units(point));
    }
    out.align(4)?;
    let rva = out.rva();
    out.append(&kept.saturating_mul(2).to_le_bytes())?;
    let mut skipped = total.saturating_sub(kept);
    for (point, _) in code_points(text) {
        if skipped > 0 {
            skipped = skipped.saturating_sub(units(point));
            continue;
        }
        let (first, second) = utf16(point);
        out.append(&first.to_le_bytes())?;
        if let Some(second) = second {
            out.append(&second.to_le_bytes())?;
        }
    }
    out.append(&[0, 0])?;
    Ok(rva)
}

/// Appends a `MinidumpUTF8String` of Crashpad: length in bytes, the bytes, a zero that the length does not count. What
/// is no UTF-8 is written as `?`. Returns its offset.
pub(crate) fn append_utf8(out: &mut Output<'_>, text: &[u8]) -> Result<u32, Full> {
    let pieces = || code_points(text).map(|(_, bytes)| bytes.unwrap_or(b"?"));
    let length = pieces().map(<[u8]>::len).fold(0_usize, usize::saturating_add);
    out.align(4)?;
    let rva = out.rva();
    out.append(&u32::try_from(length).unwrap_or(0).to_le_bytes())?;
    for piece in pieces() {
        out.append(piece)?;
    }
    out.append(&[0])?;
    Ok(rva)
}
