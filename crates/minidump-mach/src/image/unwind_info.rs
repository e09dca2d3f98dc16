//! How a function saves its caller: the section `__unwind_info` (mach-o/compact_unwind_encoding.h), as far as it takes to
//! tell whether the innermost frame has a frame record.

use super::Image;
use crate::bytes::{u16_at, u32_at};
use crate::memory::TaskMemory;

/// Most entries that an index can have: more functions than any image has.
const MOST_ENTRIES: u32 = 1 << 20;

/// Most bytes of a second-level page.
const PAGE: usize = 4096;

/// What is known of the function at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// Its first address.
    pub function: u64,
    /// The 32 bits that say how it saves its caller; 0 says nothing.
    pub bits: u32,
}

/// The encoding of the function of `image` that `address` lies in.
pub fn encoding_at(image: &Image, address: u64, memory: &TaskMemory<'_>) -> Option<Encoding> {
    let (section, size) = image.unwind_info?;
    let wanted = u32::try_from(address.checked_sub(image.base)?).ok()?;
    let at = |offset: u32| section.checked_add(u64::from(offset)).filter(|_| u64::from(offset) < size);
    let header = memory.read_vec(section, 28).ok()?;
    let field = |index: usize| u32_at(&header, index.saturating_mul(4));
    let (common_offset, common_count) = (field(1)?, field(2)?);
    let (index_offset, index_count) = (field(5)?, field(6)?.min(MOST_ENTRIES));
    if field(0)? != 1 {
        return None;
    }
    let entry = |index: u32| {
        let bytes = memory.read_vec(at(index_offset.checked_add(index.checked_mul(12)?)?)?, 8).ok()?;
        u32_at(&bytes, 0).zip(u32_at(&bytes, 4))
    };
    let index = last_at_or_below(index_count, wanted, |index| entry(index).map(|(function, _)| function))?;
    let (first_function, page_offset) = entry(index)?;
    if page_offset == 0 {
        return None;
    }
    let mut page = vec![0; PAGE];
    let (done, _) = memory.read_some(at(page_offset)?, &mut page);
    page.truncate(done);
    let (function, bits) = match u32_at(&page, 0)? {
        2 => regular(&page, wanted)?,
        3 => {
            let common = |index: u32| {
                let offset = common_offset.checked_add(index.checked_mul(4)?)?;
                u32_at(&memory.read_vec(at(offset)?, 4).ok()?, 0)
            };
            compressed(&page, wanted, first_function, common_count, common)?
        }
        _ => return None,
    };
    Some(Encoding { function: image.base.checked_add(u64::from(function))?, bits })
}

/// A page of pairs of function and encoding.
fn regular(page: &[u8], wanted: u32) -> Option<(u32, u32)> {
    let (entries, count) = (usize::from(u16_at(page, 4)?), u32::from(u16_at(page, 6)?));
    let offset = |index: u32| entries.checked_add(usize::try_from(index).ok()?.checked_mul(8)?);
    let index = last_at_or_below(count, wanted, |index| u32_at(page, offset(index)?))?;
    let at = offset(index)?;
    u32_at(page, at).zip(u32_at(page, at.checked_add(4)?))
}

/// A page of words: the function's distance from the first one of the page in 24 bits, above them the number of the encoding,
/// which is either one of the image's or, behind those, one of the page's.
fn compressed(
    page: &[u8],
    wanted: u32,
    first_function: u32,
    common_count: u32,
    common: impl Fn(u32) -> Option<u32>,
) -> Option<(u32, u32)> {
    let (entries, count) = (usize::from(u16_at(page, 4)?), u32::from(u16_at(page, 6)?));
    let encodings = usize::from(u16_at(page, 8)?);
    let entry = |index: u32| u32_at(page, entries.checked_add(usize::try_from(index).ok()?.checked_mul(4)?)?);
    let distance = wanted.checked_sub(first_function)?;
    let index = last_at_or_below(count, distance, |index| entry(index).map(|word| word & 0x00ff_ffff))?;
    let word = entry(index)?;
    let number = word >> 24;
    let bits = match number.checked_sub(common_count) {
        None => common(number)?,
        Some(own) => u32_at(page, encodings.checked_add(usize::try_from(own).ok()?.checked_mul(4)?)?)?,
    };
    Some((first_function.checked_add(word & 0x00ff_ffff)?, bits))
}

/// The last of `count` ascending entries that is not above `wanted`.
fn last_at_or_below(count: u32, wanted: u32, entry: impl Fn(u32) -> Option<u32>) -> Option<u32> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if entry(middle)? <= wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.checked_sub(1)
}
