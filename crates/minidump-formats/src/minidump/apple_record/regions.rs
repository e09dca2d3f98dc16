use super::text::Text;
use minidump_snapshot::{Protection, Region, RegionKind, Snapshot};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What the `MemoryInfoList` does not tell of the regions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RegionTable {
    /// Names, each once.
    names: Vec<Text>,
    /// Regions of which there is more to tell, by ascending address.
    entries: Vec<RegionRecord>,
}

/// First address, what backs it, rights (1 read, 2 write, 4 execute), flags, offset into the file, index of the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RegionRecord(u64, RegionKind, u8, u8, u64, Option<u32>);

/// Bits of the flags.
const SHARED: u8 = 1;
const DONT_DUMP: u8 = 2;

/// Whether the `MemoryInfoList` tells all of `region`.
fn is_told(region: &Region) -> bool {
    let rights = region.protection;
    let told_rights = rights.contains(Protection::READ) || !rights.contains(Protection::WRITE);
    let told_kind = matches!(region.kind, RegionKind::Anonymous | RegionKind::File);
    let plain = !region.shared && !region.dont_dump && region.offset == 0 && region.name.is_empty();
    told_rights && told_kind && plain
}

impl RegionTable {
    pub(super) fn new(regions: &[Region]) -> Self {
        let mut table = Self::default();
        let mut indices: HashMap<&[u8], u32> = HashMap::new();
        for region in regions.iter().filter(|region| !is_told(region)) {
            let next = u32::try_from(table.names.len()).unwrap_or(u32::MAX);
            let name = (!region.name.is_empty()).then(|| *indices.entry(&region.name).or_insert(next));
            if name == Some(next) {
                table.names.push(Text::new(&region.name));
            }
            let shared = if region.shared { SHARED } else { 0 };
            let flags = shared | if region.dont_dump { DONT_DUMP } else { 0 };
            let rights = region.protection.bits();
            table.entries.push(RegionRecord(region.start, region.kind, rights, flags, region.offset, name));
        }
        table
    }

    /// Completes the regions that begin where one here does.
    pub(super) fn restore(self, snapshot: &mut Snapshot) {
        let names: Vec<Vec<u8>> = self.names.into_iter().map(Text::into_bytes).collect();
        for RegionRecord(start, kind, rights, flags, offset, name) in self.entries {
            let Ok(index) = snapshot.regions.binary_search_by_key(&start, |region| region.start) else {
                continue;
            };
            let Some(region) = snapshot.regions.get_mut(index) else { continue };
            region.kind = kind;
            region.protection = Protection::from_bits_truncate(rights);
            region.shared = flags & SHARED != 0;
            region.dont_dump = flags & DONT_DUMP != 0;
            region.offset = offset;
            let name = name.and_then(|index| names.get(usize::try_from(index).ok()?));
            region.name = name.cloned().unwrap_or_default();
        }
    }

    pub(super) fn size_hint(&self) -> usize {
        let names = self.names.iter().map(|name| name.len().saturating_add(4));
        names.fold(0, usize::saturating_add).saturating_add(self.entries.len().saturating_mul(48))
    }
}
