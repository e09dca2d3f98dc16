use crate::{KernReturn, RegionTag};
use minidump_snapshot::Protection;

/// What `mach_vm_region_recurse` tells of a simulated region besides its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimRegion {
    /// Current protection.
    pub protection: Protection,
    /// `user_tag`: VM_MEMORY_*.
    pub tag: u32,
    /// `share_mode`: SM_*; 2 is private, 1 copy-on-write, 4 and 5 shared.
    pub share_mode: u8,
    /// `external_pager`: a file backs it.
    pub file: bool,
    /// `offset` into what backs it.
    pub offset: u64,
}

impl SimRegion {
    /// Private memory that can be read and written, tagged `tag`.
    #[must_use]
    pub fn data(tag: u32) -> Self {
        let protection = Protection::READ | Protection::WRITE;
        Self { protection, tag, share_mode: 2, file: false, offset: 0 }
    }

    /// Memory that cannot be accessed, tagged as a guard.
    #[must_use]
    pub fn guard() -> Self {
        Self { protection: Protection::empty(), ..Self::data(RegionTag::GUARD.0) }
    }

    /// A segment of a file.
    #[must_use]
    pub fn file(protection: Protection, tag: u32) -> Self {
        Self { protection, tag, share_mode: 1, file: true, offset: 0 }
    }
}

/// Mapped memory: zeros but for what was written to it.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub about: SimRegion,
    /// Offset and bytes; later ones lie above earlier ones.
    patches: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Leaf(Leaf),
    Submap(Map),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub start: u64,
    pub size: u64,
    pub kind: Kind,
}

impl Entry {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}

/// What was found at or above an address.
pub(super) struct Found<'a> {
    pub entry: &'a Entry,
    pub depth: u32,
}

/// A map of memory, as the kernel keeps it: regions, and maps inside of maps.
#[derive(Debug, Clone, Default)]
pub(super) struct Map {
    /// Sorted, not overlapping.
    entries: Vec<Entry>,
}

impl Map {
    /// Adds a region to the deepest map that spans its place. False when something is there already.
    pub fn add(&mut self, start: u64, size: u64, about: SimRegion) -> bool {
        self.insert(Entry { start, size, kind: Kind::Leaf(Leaf { about, patches: Vec::new() }) })
    }

    /// Adds an empty map inside of the deepest that spans its place. False when something is there already.
    pub fn add_submap(&mut self, start: u64, size: u64) -> bool {
        self.insert(Entry { start, size, kind: Kind::Submap(Self::default()) })
    }

    fn insert(&mut self, entry: Entry) -> bool {
        let Some(end) = entry.start.checked_add(entry.size).filter(|end| *end > entry.start) else {
            return false;
        };
        let at = self.entries.partition_point(|other| other.end() <= entry.start);
        match self.entries.get_mut(at) {
            Some(Entry { start, size, kind: Kind::Submap(map) })
                if *start <= entry.start && end <= start.saturating_add(*size) =>
            {
                map.insert(entry)
            }
            Some(other) if other.start < end => false,
            _ => {
                self.entries.insert(at, entry);
                true
            }
        }
    }

    /// The first region at or above `address`; maps are entered `depth` times at most.
    pub fn find(&self, address: u64, depth: u32) -> Option<Found<'_>> {
        let at = self.entries.partition_point(|entry| entry.end() <= address);
        self.entries.get(at..)?.iter().find_map(|entry| match (&entry.kind, depth.checked_sub(1)) {
            (Kind::Submap(map), Some(below)) => {
                let found = map.find(address, below)?;
                Some(Found { depth: found.depth + 1, ..found })
            }
            _ => Some(Found { entry, depth: 0 }),
        })
    }

    fn leaf_at(&mut self, address: u64) -> Option<(u64, u64, &mut Leaf)> {
        let at = self.entries.partition_point(|entry| entry.end() <= address);
        let entry = self.entries.get_mut(at).filter(|entry| entry.start <= address)?;
        match &mut entry.kind {
            Kind::Leaf(leaf) => Some((entry.start, entry.size, leaf)),
            Kind::Submap(map) => map.leaf_at(address),
        }
    }

    /// Reads all of `buffer`, or nothing, as the kernel does.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), KernReturn> {
        let mut done = 0_usize;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = address.checked_add(done as u64).ok_or(KernReturn::INVALID_ADDRESS)?;
            let found = self.find(at, u32::MAX).ok_or(KernReturn::INVALID_ADDRESS)?;
            let Kind::Leaf(leaf) = &found.entry.kind else { return Err(KernReturn::INVALID_ADDRESS) };
            let offset = at.checked_sub(found.entry.start).ok_or(KernReturn::INVALID_ADDRESS)?;
            if !leaf.about.protection.contains(Protection::READ) {
                return Err(KernReturn::PROTECTION_FAILURE);
            }
            let size = usize::try_from(found.entry.size - offset).unwrap_or(usize::MAX).min(rest.len());
            leaf.copy(offset, rest.get_mut(..size).unwrap_or_default());
            done += size;
        }
        Ok(())
    }

    /// Writes `bytes`, whatever the protection, as far as there is memory. Returns how many were written.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> usize {
        let mut done = 0_usize;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let Some(at) = address.checked_add(done as u64) else { return done };
            let Some((start, size, leaf)) = self.leaf_at(at) else { return done };
            let room = usize::try_from(start + size - at).unwrap_or(usize::MAX).min(rest.len());
            leaf.write(at - start, rest.get(..room).unwrap_or_default());
            done += room;
        }
        done
    }

    /// Cuts the regions at both ends of the range, so that something can be changed of it alone.
    fn split(&mut self, start: u64, end: u64) {
        for at in [start, end] {
            let index = self.entries.partition_point(|entry| entry.end() <= at);
            let Some(entry) = self.entries.get_mut(index).filter(|entry| entry.start < at) else { continue };
            match &mut entry.kind {
                Kind::Submap(map) => map.split(at, at),
                Kind::Leaf(leaf) => {
                    let head = at - entry.start;
                    let behind = leaf.split_off(head);
                    let rest = Entry { start: at, size: entry.size - head, kind: Kind::Leaf(behind) };
                    entry.size = head;
                    self.entries.insert(index + 1, rest);
                }
            }
        }
    }

    /// Takes all memory of the range away.
    pub fn unmap(&mut self, start: u64, end: u64) {
        self.split(start, end);
        for entry in &mut self.entries {
            if let Kind::Submap(map) = &mut entry.kind {
                map.unmap(start, end);
            }
        }
        let inside = |entry: &Entry| entry.start >= start && entry.end() <= end;
        self.entries.retain(|entry| !inside(entry) || matches!(entry.kind, Kind::Submap(_)));
    }

    /// Gives all memory of the range another protection.
    pub fn protect(&mut self, start: u64, end: u64, protection: Protection) {
        self.split(start, end);
        for entry in &mut self.entries {
            let inside = entry.start >= start && entry.end() <= end;
            match &mut entry.kind {
                Kind::Submap(map) => map.protect(start, end, protection),
                Kind::Leaf(leaf) if inside => leaf.about.protection = protection,
                Kind::Leaf(_) => {}
            }
        }
    }
}

impl Leaf {
    fn copy(&self, offset: u64, buffer: &mut [u8]) {
        buffer.fill(0);
        let end = offset.saturating_add(buffer.len() as u64);
        for (start, bytes) in &self.patches {
            let patch_end = start.saturating_add(bytes.len() as u64);
            let (low, high) = ((*start).max(offset), patch_end.min(end));
            if low >= high {
                continue;
            }
            let span = |base: u64| {
                let at = |value: u64| usize::try_from(value - base).unwrap_or(usize::MAX);
                at(low)..at(high)
            };
            if let (Some(to), Some(from)) = (buffer.get_mut(span(offset)), bytes.get(span(*start))) {
                to.copy_from_slice(from);
            }
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset.saturating_add(bytes.len() as u64);
        let holds = |(start, held): &&mut (u64, Vec<u8>)| {
            *start <= offset && end <= start.saturating_add(held.len() as u64)
        };
        // Only in the patch on top is nothing else written later.
        if let Some((start, held)) = self.patches.last_mut().filter(holds) {
            let at = usize::try_from(offset - *start).unwrap_or(usize::MAX);
            if let Some(to) = held.get_mut(at..at.saturating_add(bytes.len())) {
                to.copy_from_slice(bytes);
            }
            return;
        }
        self.patches.push((offset, bytes.to_vec()));
    }

    fn split_off(&mut self, at: u64) -> Self {
        let mut behind = Self { about: self.about, patches: Vec::new() };
        behind.about.offset = behind.about.offset.saturating_add(at);
        for (start, bytes) in std::mem::take(&mut self.patches) {
            let cut = usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
            let (head, tail) = bytes.split_at(cut);
            if !head.is_empty() {
                self.patches.push((start, head.to_vec()));
            }
            if !tail.is_empty() {
                behind.patches.push((start.max(at) - at, tail.to_vec()));
            }
        }
        behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> Map {
        let mut map = Map::default();
        assert!(map.add(0x1000, 0x1000, SimRegion::data(30)));
        assert!(map.add_submap(0x10_0000, 0x10_0000));
        assert!(map.add_submap(0x11_0000, 0x1_0000));
        assert!(map.add(0x11_4000, 0x4000, SimRegion::data(33)));
        assert!(map.add(0x30_0000, 0x4000, SimRegion::data(1)));
        map
    }

    #[test]
    fn maps_are_entered_only_as_deep_as_asked() {
        let map = map();
        let found = |address, depth| {
            let found = map.find(address, depth).unwrap();
            (found.entry.start, found.depth, matches!(found.entry.kind, Kind::Submap(_)))
        };
        assert_eq!(found(0x2000, 0), (0x10_0000, 0, true));
        assert_eq!(found(0x2000, 1), (0x11_0000, 1, true));
        assert_eq!(found(0x2000, 2), (0x11_4000, 2, false));
        assert_eq!(found(0x11_8000, 9), (0x30_0000, 0, false), "nothing is left in the maps");
        assert!(map.find(0x30_4000, 9).is_none());
    }

    #[test]
    fn a_read_gives_all_or_nothing_and_zeros_where_nothing_was_written() {
        let mut map = map();
        assert!(map.add(0x2000, 0x1000, SimRegion::data(30)));
        assert_eq!(map.write(0x1ffe, &[1, 2, 3, 4]), 4);
        assert_eq!(map.write(0x1fff, &[9]), 1);
        let mut buffer = [0xff; 8];
        map.read(0x1ffc, &mut buffer).unwrap();
        assert_eq!(buffer, [0, 0, 1, 9, 3, 4, 0, 0]);
        assert_eq!(map.read(0x2ffc, &mut buffer), Err(KernReturn::INVALID_ADDRESS));
        map.protect(0x2000, 0x2010, Protection::empty());
        assert_eq!(map.read(0x1ffc, &mut buffer), Err(KernReturn::PROTECTION_FAILURE));
        map.read(0x2010, &mut buffer).unwrap();
    }

    #[test]
    fn what_overlaps_is_refused_and_what_is_unmapped_is_gone() {
        let mut map = map();
        assert!(!map.add(0x1800, 0x1000, SimRegion::data(1)));
        assert!(!map.add(0x11_7000, 0x2000, SimRegion::data(1)));
        assert!(!map.add(u64::MAX, 2, SimRegion::data(1)));
        assert_eq!(map.write(0x11_4000, &[7; 0x4000]), 0x4000);
        map.unmap(0x11_5000, 0x11_6000);
        let mut byte = [0];
        assert_eq!(map.read(0x11_5000, &mut byte), Err(KernReturn::INVALID_ADDRESS));
        map.read(0x11_6000, &mut byte).unwrap();
        assert_eq!(byte, [7]);
    }
}
