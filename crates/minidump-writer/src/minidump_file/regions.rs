//! The memory map, from the words of Windows.

use super::streams::Streams;
use crate::convert::Held;
use crate::convert::words::{u32_at, u64_at};
use crate::snapshot::{Protection, Region, RegionKind};

const MEMORY_INFO_LIST: u32 = 16;
/// Size in bytes of `MINIDUMP_MEMORY_INFO`.
const ENTRY_SIZE: usize = 48;
/// Most entries that are read.
const MAX_REGIONS: usize = 1 << 20;
/// `MEM_COMMIT`
const COMMITTED: u32 = 0x1000;
/// `MEM_PRIVATE`
const PRIVATE: u32 = 0x2_0000;

/// The regions that `MemoryInfoList` tells of, by address, without overlaps. They have no names.
pub fn listed(streams: &Streams<'_>) -> Vec<Region> {
    let list = streams.sized_list(MEMORY_INFO_LIST, ENTRY_SIZE);
    let mut regions: Vec<Region> = list.iter().take(MAX_REGIONS).filter_map(|raw| region(raw)).collect();
    regions.sort_by_key(|region| region.start);
    let mut floor = 0;
    regions.retain(|region| {
        let is_free = region.start >= floor;
        floor = if is_free { region.end } else { floor };
        is_free
    });
    regions
}

/// What is held, as regions: for a dump without a map.
pub fn of_memory(held: &Held) -> Vec<Region> {
    let region = |(start, end): &(u64, u64)| plain(*start, *end, Protection::READ, RegionKind::Anonymous);
    held.ranges().iter().map(region).collect()
}

fn plain(start: u64, end: u64, protection: Protection, kind: RegionKind) -> Region {
    Region { start, end, protection, shared: false, kind, dont_dump: false, offset: 0, name: Vec::new() }
}

fn region(raw: &[u8]) -> Option<Region> {
    let start = u64_at(raw, 0)?;
    let end = start.checked_add(u64_at(raw, 24)?)?;
    let kind = if u32_at(raw, 40)? == PRIVATE { RegionKind::Anonymous } else { RegionKind::File };
    let is_committed = u32_at(raw, 32)? & COMMITTED != 0;
    let region = plain(start, end, protection(u32_at(raw, 36)?), kind);
    (is_committed && start < end).then_some(region)
}

/// `PAGE_*`.
fn protection(page: u32) -> Protection {
    match page & 0xff {
        0x02 => Protection::READ,
        0x04 | 0x08 => Protection::READ | Protection::WRITE,
        0x10 => Protection::EXECUTE,
        0x20 => Protection::READ | Protection::EXECUTE,
        0x40 | 0x80 => Protection::all(),
        _ => Protection::empty(),
    }
}
