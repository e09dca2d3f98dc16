use crate::{KernReturn, MachTask, RegionTag};
use minidump_snapshot::{Protection, Region, RegionKind, SoftError, Stage};

/// Most regions that are listed. A process with a few gigabytes of heap has some ten thousand.
const MOST_REGIONS: usize = 1 << 17;

/// Maps lie in maps at most so deep.
const MOST_DEPTH: u32 = 16;

/// Words of `vm_region_submap_info_64` that are defined everywhere.
const WORDS: usize = 19;

/// `vm_region_submap_info_64` (mach/vm_region.h), as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionInfo {
    pub protection: Protection,
    pub offset: u64,
    pub tag: RegionTag,
    pub file: bool,
    pub share_mode: u8,
    pub is_submap: bool,
}

impl RegionInfo {
    /// Decodes the structure. The kernel packs it to four bytes: the offset lies at byte 12.
    pub fn decode(words: &[u32]) -> Option<Self> {
        let modes = *words.get(11)?;
        let [_, _, external_pager, share_mode] = modes.to_le_bytes();
        let bits = u8::try_from(words.first()? & 7).unwrap_or_default();
        Some(Self {
            protection: Protection::from_bits_truncate(bits),
            offset: crate::bytes::pair(words, 3)?,
            tag: RegionTag(*words.get(5)?),
            file: external_pager != 0,
            share_mode,
            is_submap: *words.get(12)? != 0,
        })
    }

    fn kind(&self) -> RegionKind {
        match self.tag {
            RegionTag::IOKIT => RegionKind::Device,
            RegionTag::STACK => RegionKind::Stack,
            // The cache's code and constants are those of its files.
            RegionTag::SHARED_PMAP if !self.protection.contains(Protection::WRITE) => RegionKind::File,
            _ if self.file => RegionKind::File,
            _ => RegionKind::Anonymous,
        }
    }

    fn region(&self, start: u64, end: u64) -> Region {
        /// SM_SHARED, SM_TRUESHARED, SM_SHARED_ALIASED.
        const SHARED: [u8; 3] = [4, 5, 7];
        Region {
            start,
            end,
            protection: self.protection,
            shared: SHARED.contains(&self.share_mode),
            kind: self.kind(),
            dont_dump: false,
            offset: self.offset,
            name: Vec::new(),
        }
    }
}

/// Why a list of regions ended, unless it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListEnd {
    Complete,
    /// The kernel gave an error that says something else than that there are no more.
    Failed {
        at: u64,
        error: KernReturn,
    },
    /// The kernel told less of a region than everywhere.
    Short {
        at: u64,
    },
    /// What the kernel found did not lie behind what it found before.
    Stuck {
        at: u64,
    },
    Full {
        at: u64,
    },
}

/// Calls `take` with every region, by ascending address, and with its tag, until it returns false. Allocates nothing.
pub fn each(task: &dyn MachTask, mut take: impl FnMut(Region, RegionTag) -> bool) -> ListEnd {
    let (mut address, mut depth) = (0_u64, 0_u32);
    // Every region costs one call, and every map that is entered one more.
    for _ in 0..MOST_REGIONS.saturating_mul(2) {
        let (mut start, mut size) = (address, 0);
        let mut words = [0; WORDS];
        let info = match task.region(&mut start, &mut size, &mut depth, &mut words) {
            Ok(count) => words.get(..count).and_then(RegionInfo::decode),
            Err(KernReturn::INVALID_ADDRESS) => return ListEnd::Complete,
            Err(error) => return ListEnd::Failed { at: address, error },
        };
        let Some(info) = info else { return ListEnd::Short { at: start } };
        if info.is_submap && depth < MOST_DEPTH {
            depth += 1;
            continue;
        }
        let end = start.saturating_add(size);
        // A region that begins below what was asked for is the one that the address lies in.
        let start = start.max(address);
        if end <= start {
            return ListEnd::Stuck { at: start };
        }
        if !take(info.region(start, end), info.tag) {
            return ListEnd::Full { at: start };
        }
        if end == u64::MAX {
            return ListEnd::Complete;
        }
        address = end;
    }
    ListEnd::Stuck { at: address }
}

/// The memory map, by ascending address, not overlapping, with the names of the tags.
pub fn list(task: &dyn MachTask, errors: &mut Vec<SoftError>) -> Vec<Region> {
    let mut regions = Vec::new();
    let end = each(task, |mut region, tag| {
        region.name = tag.name().unwrap_or_default().into();
        regions.push(region);
        regions.len() < MOST_REGIONS
    });
    report(end, errors);
    regions
}

/// Tells why the list is not complete.
pub fn report(end: ListEnd, errors: &mut Vec<SoftError>) {
    let (message, at, code) = match end {
        ListEnd::Complete => return,
        ListEnd::Failed { at, error } => (format!("the memory map ends early: {error}"), at, Some(error.0)),
        ListEnd::Short { at } => ("the memory map ends early: a region is not described".into(), at, None),
        ListEnd::Stuck { at } => ("the memory map ends early: its regions do not ascend".into(), at, None),
        ListEnd::Full { at } => (format!("the memory map ends early, at {MOST_REGIONS} regions"), at, None),
    };
    errors.push(SoftError::new(Stage::MemoryMap, message).range(at, 0).os_error(code));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::tests::words_with;

    #[test]
    fn the_structure_is_packed_to_four_bytes() {
        let fields: [(usize, &[u8]); 9] = [
            (0, &5_u32.to_le_bytes()),
            (4, &7_u32.to_le_bytes()),
            (12, &0x1_2345_6000_u64.to_le_bytes()),
            (20, &32_u32.to_le_bytes()),
            (24, &99_u32.to_le_bytes()),
            (44, &3_u16.to_le_bytes()),
            (46, &[1]),
            (47, &[5]),
            (48, &1_u32.to_le_bytes()),
        ];
        let words = words_with(76, &fields);
        let info = RegionInfo::decode(&words).unwrap();
        assert_eq!(info.protection, Protection::READ | Protection::EXECUTE);
        assert_eq!((info.offset, info.tag), (0x1_2345_6000, RegionTag::SHARED_PMAP));
        assert_eq!((info.file, info.share_mode, info.is_submap), (true, 5, true));
        assert_eq!(RegionInfo::decode(&words[..13]), Some(info), "no more words are used");
        assert_eq!(RegionInfo::decode(&words[..12]), None);
    }

    #[test]
    fn tag_and_pager_tell_the_kind() {
        let info = |tag: u32, file: bool, bits: u8| RegionInfo {
            protection: Protection::from_bits_truncate(bits),
            offset: 0,
            tag: RegionTag(tag),
            file,
            share_mode: 2,
            is_submap: false,
        };
        assert_eq!(info(21, true, 3).kind(), RegionKind::Device);
        assert_eq!(info(30, false, 0).kind(), RegionKind::Stack);
        assert_eq!(info(32, false, 5).kind(), RegionKind::File);
        assert_eq!(
            info(32, false, 3).kind(),
            RegionKind::Anonymous,
            "data of the cache that were written to"
        );
        assert_eq!(info(0, true, 3).kind(), RegionKind::File);
        assert_eq!(info(1, false, 3).kind(), RegionKind::Anonymous);
    }

    #[test]
    fn modes_of_sharing_are_told_apart() {
        let shared = |share_mode: u8| {
            let info = RegionInfo { share_mode, ..RegionInfo::decode(&[0; 19]).unwrap() };
            info.region(0x1000, 0x2000).shared
        };
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 7, 8].map(shared),
            [false, false, false, true, true, false, true, false]
        );
    }
}
