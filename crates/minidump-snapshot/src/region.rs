use bitflags::bitflags;
use serde::{Deserialize, Serialize};

bitflags! {
    /// Access rights of a memory region.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
    pub struct Protection: u8 {
        /// Readable.
        const READ = 1;
        /// Writable.
        const WRITE = 2;
        /// Executable.
        const EXECUTE = 4;
    }
}

/// What backs a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RegionKind {
    /// Anonymous memory.
    Anonymous,
    /// A file (or shared-memory object, or device).
    File,
    /// The stack that the kernel made for the main thread; on Windows that of any thread.
    Stack,
    /// The brk heap.
    Heap,
    /// Registers or memory of a device. Reading it can have effects, so no plan ever takes it.
    Device,
    /// Code and data that the kernel maps: vdso, vvar, vsyscall.
    Kernel,
}

/// One region of the target's address space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// First address behind the region.
    pub end: u64,
    /// Access rights.
    pub protection: Protection,
    /// Mapped shared: writes go to the file or to other processes.
    pub shared: bool,
    /// What backs it.
    pub kind: RegionKind,
    /// The program asked that its contents be left out of dumps (Linux: MADV_DONTDUMP).
    pub dont_dump: bool,
    /// Offset into the file, in bytes.
    pub offset: u64,
    /// Path of the file or the kernel's name for the region (`[heap]`), as raw bytes; empty for anonymous memory.
    pub name: Vec<u8>,
}

impl Region {
    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether `address` lies inside.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }
}

/// The region of the sorted list `regions` that contains `address`.
pub(crate) fn find(regions: &[Region], address: u64) -> Option<&Region> {
    regions.get(index_at_or_above(regions, address)?).filter(|region| region.contains(address))
}

/// Index of the first region of the sorted list that ends above `address`.
pub(crate) fn index_at_or_above(regions: &[Region], address: u64) -> Option<usize> {
    let index = regions.partition_point(|region| region.end <= address);
    (index < regions.len()).then_some(index)
}
