//! The allocations of an address space, and which of them are images.

use minidump_snapshot::{Region, WindowsRegion};

/// `MEM_FREE` and `MEM_IMAGE` of <winnt.h>, as `MEMORY_BASIC_INFORMATION` has them.
const MEM_FREE: u32 = 0x1_0000;
const MEM_IMAGE: u32 = 0x100_0000;

/// One allocation: what a single call mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// First address.
    pub base: u64,
    /// First address behind.
    pub end: u64,
    /// Whether it is an image, mapped as such.
    pub is_image: bool,
}

/// All allocations, by ascending address.
#[derive(Debug, Default)]
pub struct Allocations(Vec<Allocation>);

impl Allocations {
    /// Those that `regions`, by ascending address, make up.
    #[must_use]
    pub fn of(regions: &[WindowsRegion]) -> Self {
        let mut all: Vec<Allocation> = Vec::new();
        for region in regions.iter().filter(|region| region.state != MEM_FREE && region.size > 0) {
            let end = region.base.saturating_add(region.size);
            match all.last_mut().filter(|last| last.base == region.allocation_base && last.end == region.base)
            {
                Some(last) => {
                    last.end = end;
                    last.is_image |= region.kind == MEM_IMAGE;
                }
                None => all.push(Allocation {
                    base: region.allocation_base.min(region.base),
                    end,
                    is_image: region.kind == MEM_IMAGE,
                }),
            }
        }
        Self(all)
    }

    /// Whether nothing is known of the address space.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one that contains `address`.
    #[must_use]
    pub fn at(&self, address: u64) -> Option<Allocation> {
        let next = self.0.partition_point(|allocation| allocation.base <= address);
        let found = self.0.get(next.checked_sub(1)?).copied();
        found.filter(|allocation| address < allocation.end)
    }

    /// The images, by ascending address.
    pub fn images(&self) -> impl Iterator<Item = Allocation> {
        self.0.iter().copied().filter(|allocation| allocation.is_image)
    }
}

/// Path of the file that is mapped at `address`, as the memory map has it.
#[must_use]
pub fn mapped_file(regions: &[Region], address: u64) -> Option<String> {
    let next = regions.partition_point(|region| region.start <= address);
    let region = regions.get(next.checked_sub(1)?).filter(|region| region.contains(address))?;
    (!region.name.is_empty()).then(|| String::from_utf8_lossy(&region.name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(base: u64, allocation_base: u64, size: u64, (state, kind): (u32, u32)) -> WindowsRegion {
        WindowsRegion { base, allocation_base, size, state, kind, ..WindowsRegion::default() }
    }

    const COMMITTED: u32 = 0x1000;
    const MEM_PRIVATE: u32 = 0x2_0000;

    #[test]
    fn neighbours_of_one_allocation_are_one_and_free_memory_is_none() {
        let regions = [
            region(0, 0, 0x1_0000, (MEM_FREE, 0)),
            region(0x1_0000, 0x1_0000, 0x1000, (COMMITTED, MEM_IMAGE)),
            region(0x1_1000, 0x1_0000, 0x3000, (COMMITTED, MEM_IMAGE)),
            region(0x1_4000, 0x1_4000, 0x1000, (COMMITTED, MEM_PRIVATE)),
        ];
        let allocations = Allocations::of(&regions);
        let image = Allocation { base: 0x1_0000, end: 0x1_4000, is_image: true };
        assert_eq!(allocations.images().collect::<Vec<_>>(), [image]);
        assert_eq!(allocations.at(0x1_3fff), Some(image));
        assert_eq!(
            allocations.at(0x1_4000),
            Some(Allocation { base: 0x1_4000, end: 0x1_5000, is_image: false })
        );
        assert_eq!(allocations.at(0x1_5000), None);
        assert_eq!(allocations.at(0xffff), None);
    }
}
