//! The memory map, or what a `MemoryInfoList` does not tell of it.

use super::bytes::{Decoder, Encoder};
use super::names::{Names, NamesRead};
use super::tables::{REGION_KINDS, position};
use minidump_snapshot::{Module, Protection, Region, RegionKind, Snapshot};
use std::collections::HashMap;

/// Most regions that are read.
const MAX_REGIONS: usize = 1 << 20;
/// Most bytes of names that are repeated: a small file could have a long one very often.
const MOST_REPEATED: usize = 64 << 20;

/// Bits behind the three of the rights.
const SHARED: u64 = 1 << 3;
const DONT_DUMP: u64 = 1 << 4;

/// A region without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RegionRecord {
    region: Region,
    /// 0 for none. Else the lowest bit tells whether the rest counts modules or [`Names`], from 1 on.
    name: u64,
}

/// All regions. Most names are paths of `modules`.
pub(super) fn encode<'a>(
    regions: impl ExactSizeIterator<Item = &'a Region>,
    modules: &'a [Module],
    names: &mut Names<'a>,
) -> Encoder {
    let mut paths: HashMap<&[u8], u64> = HashMap::new();
    for (index, module) in (1_u64..).zip(modules) {
        paths.entry(&module.path).or_insert(index);
    }
    let mut to = Encoder::default();
    to.count(regions.len());
    let mut end = 0_u64;
    for region in regions {
        let shared = if region.shared { SHARED } else { 0 };
        let dont_dump = if region.dont_dump { DONT_DUMP } else { 0 };
        to.signed(region.start.wrapping_sub(end));
        to.number(region.size());
        to.number(u64::from(region.protection.bits()) | shared | dont_dump);
        to.number(position(&REGION_KINDS, &region.kind));
        to.number(region.offset);
        to.number(match (region.name.as_slice(), paths.get(region.name.as_slice())) {
            ([], _) => 0,
            (_, Some(module)) => module << 1 | 1,
            (name, None) => (names.index(name) + 1) << 1,
        });
        end = region.start.wrapping_add(region.size());
    }
    to
}

/// The regions of which a `MemoryInfoList` does not tell all.
pub(super) fn untold(regions: &[Region]) -> Vec<&Region> {
    regions.iter().filter(|region| !is_told(region)).collect()
}

fn is_told(region: &Region) -> bool {
    let rights = region.protection;
    let told_rights = rights.contains(Protection::READ) || !rights.contains(Protection::WRITE);
    let told_kind = matches!(region.kind, RegionKind::Anonymous | RegionKind::File);
    let plain = !region.shared && !region.dont_dump && region.offset == 0 && region.name.is_empty();
    told_rights && told_kind && plain
}

pub(super) fn read(from: &mut Decoder<'_>) -> Option<Vec<RegionRecord>> {
    let mut end = 0_u64;
    from.list(MAX_REGIONS, |from| {
        let start = end.wrapping_add(from.signed()?);
        let (size, bits) = (from.number()?, from.number()?);
        end = start.wrapping_add(size);
        let kind = *REGION_KINDS.get(usize::try_from(from.number()?).ok()?)?;
        let region = Region {
            start,
            end: start.saturating_add(size),
            protection: Protection::from_bits_truncate(u8::try_from(bits & 7).unwrap_or(0)),
            shared: bits & SHARED != 0,
            kind,
            dont_dump: bits & DONT_DUMP != 0,
            offset: from.number()?,
            name: Vec::new(),
        };
        Some(RegionRecord { region, name: from.number()? })
    })
}

/// The regions with their names.
pub(super) fn named(records: Vec<RegionRecord>, modules: &[Module], names: &NamesRead) -> Vec<Region> {
    let mut room = MOST_REPEATED;
    let mut name = |code: u64| {
        let index = (code >> 1).checked_sub(1)?;
        let module = || modules.get(usize::try_from(index).ok()?).map(|module| module.path.as_slice());
        let name = if code & 1 == 1 { module()? } else { names.get(index)? };
        room = room.checked_sub(name.len())?;
        Some(name.to_vec())
    };
    let region = |RegionRecord { mut region, name: code }| {
        region.name = name(code).unwrap_or_default();
        region
    };
    records.into_iter().map(region).collect()
}

/// Completes the regions that begin where one here does.
pub(super) fn restore(records: Vec<RegionRecord>, names: &NamesRead, snapshot: &mut Snapshot) {
    for found in named(records, &[], names) {
        let index = snapshot.regions.binary_search_by_key(&found.start, |region| region.start);
        let region = index.ok().and_then(|index| snapshot.regions.get_mut(index));
        if let Some(region) = region {
            *region = Region { end: region.end, ..found };
        }
    }
}
