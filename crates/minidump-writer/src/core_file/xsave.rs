//! XSAVE areas of cores: which components they have, and where these end.

use crate::convert::words::{u32_at, u64_at};
use crate::snapshot::XsaveComponent;

/// Where Linux tells XCR0 (<asm/ptrace.h>).
const XCR0: usize = 464;
/// `XSTATE_BV`.
const IN_USE: usize = 512;
/// Where the components behind FXSAVE image and header begin.
const HEADER_END: usize = 576;
/// Most entries of the layout note.
const MAX_COMPONENTS: usize = 64;

const AVX: u8 = 2;
const PKRU: u8 = 9;
const TILE_CONFIG: u8 = 17;
const TILE_DATA: u8 = 18;

/// The components that `NT_X86_XSAVE_LAYOUT` lists: number, size, offset, flags as 32-bit words.
pub fn listed(bytes: &[u8]) -> Vec<XsaveComponent> {
    let entry = |entry: &[u8]| {
        let index = u8::try_from(u32_at(entry, 0)?).ok().filter(|index| (AVX..63).contains(index))?;
        Some(XsaveComponent { index, size: u32_at(entry, 4)?, offset: u32_at(entry, 8)? })
    };
    let mut found: Vec<_> = bytes.chunks_exact(16).take(MAX_COMPONENTS).filter_map(entry).collect();
    found.sort_by_key(|component| component.index);
    found.dedup_by_key(|component| component.index);
    found
}

/// The components of an area whose core has no such note: what XCR0 enables, where Intel's processors have it, or AMD's
/// if the size of the area says so. AMD leaves out the place of components that it does not know (`MPX`).
pub fn guessed(area: &[u8]) -> Vec<XsaveComponent> {
    let Some(enabled) = u64_at(area, XCR0) else { return Vec::new() };
    let is_enabled =
        |component: &XsaveComponent| enabled.checked_shr(component.index.into()).unwrap_or(0) & 1 == 1;
    let known = |table: &[(u8, u32, u32)]| -> Vec<XsaveComponent> {
        let all = table.iter().map(|(index, offset, size)| XsaveComponent {
            index: *index,
            offset: *offset,
            size: *size,
        });
        all.filter(|component| is_enabled(component)).collect()
    };
    let end = |components: &[XsaveComponent]| components.iter().map(end).max().unwrap_or(HEADER_END);
    let (intel, amd) = (known(&INTEL), known(&AMD));
    if end(&amd) == area.len() && end(&intel) != area.len() { amd } else { intel }
}

/// Number, offset, size. Source: Intel SDM volume 1 §13.5 and the values that processors report in CPUID leaf 0xD.
const INTEL: [(u8, u32, u32); 9] = [
    (AVX, 576, 256),
    (3, 960, 64),
    (4, 1024, 64),
    (5, 1088, 64),
    (6, 1152, 512),
    (7, 1664, 1024),
    (PKRU, 2688, 8),
    (TILE_CONFIG, 2752, 64),
    (TILE_DATA, 2816, 8192),
];
const AMD: [(u8, u32, u32); 5] =
    [(AVX, 576, 256), (5, 832, 64), (6, 896, 512), (7, 1408, 1024), (PKRU, 2432, 8)];

fn end(component: &XsaveComponent) -> usize {
    usize::try_from(component.offset.saturating_add(component.size)).unwrap_or(usize::MAX)
}

/// Cuts an area behind the last component in use, as a capture does.
pub fn cut(area: &mut Vec<u8>, components: &[XsaveComponent]) {
    let Some(in_use) = u64_at(area, IN_USE) else { return };
    let used = components.iter().filter(|part| in_use.checked_shr(part.index.into()).unwrap_or(0) & 1 == 1);
    let used = used.map(end).filter(|end| *end <= area.len()).fold(HEADER_END, usize::max);
    area.truncate(used);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(enabled: u64, size: usize) -> Vec<u8> {
        let mut area = vec![0; size];
        area[XCR0..XCR0 + 8].copy_from_slice(&enabled.to_le_bytes());
        area
    }

    #[test]
    fn components_are_where_the_size_says() {
        let offsets = |components: Vec<XsaveComponent>| -> Vec<(u8, u32)> {
            components.iter().map(|component| (component.index, component.offset)).collect()
        };
        assert_eq!(offsets(guessed(&area(7, 832))), [(2, 576)]);
        let intel = [(2, 576), (5, 1088), (6, 1152), (7, 1664), (9, 2688)];
        assert_eq!(offsets(guessed(&area(0x2e7, 2696))), intel);
        let amd = [(2, 576), (5, 832), (6, 896), (7, 1408), (9, 2432)];
        assert_eq!(offsets(guessed(&area(0x2e7, 2440))), amd);
        assert_eq!(guessed(&[0xff; 100]), []);
    }

    #[test]
    fn a_layout_note_is_believed_as_far_as_it_makes_sense() {
        let words: [u32; 12] = [9, 8, 2432, 0, 2, 256, 576, 0, 99, 1, 1, 1];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let expected = [
            XsaveComponent { index: 2, offset: 576, size: 256 },
            XsaveComponent { index: 9, offset: 2432, size: 8 },
        ];
        assert_eq!(listed(&bytes), expected);
    }

    #[test]
    fn an_area_ends_behind_what_is_in_use() {
        let components = guessed(&area(7, 832));
        let mut unused = area(7, 832);
        cut(&mut unused, &components);
        assert_eq!(unused.len(), 576);
        let mut used = area(7, 832);
        used[IN_USE] = 7;
        cut(&mut used, &components);
        assert_eq!(used.len(), 832);
    }
}
