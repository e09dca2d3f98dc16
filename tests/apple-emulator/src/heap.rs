//! The memory that the emulated program allocates.

use std::collections::BTreeMap;

/// Where it lies.
pub const START: u64 = 0x3_0000_0000;
/// Its size.
pub const SIZE: u64 = 0x1000_0000;

/// Which parts are in use. Nothing is used twice, so that a use after free shows.
#[derive(Debug, Default)]
pub struct Heap {
    used: u64,
    blocks: BTreeMap<u64, u64>,
}

impl Heap {
    /// Room for `size` bytes, all zero.
    pub fn allocate(&mut self, size: u64, alignment: u64) -> Result<u64, String> {
        let alignment = alignment.max(16);
        let start = (START + self.used).next_multiple_of(alignment);
        let end = start.checked_add(size.max(1)).ok_or("too much")?;
        if end > START + SIZE {
            return Err("the heap is full".to_owned());
        }
        self.used = end - START;
        self.blocks.insert(start, size);
        Ok(start)
    }

    /// Gives a block back, and tells its size.
    pub fn free(&mut self, address: u64) -> Result<u64, String> {
        self.blocks.remove(&address).ok_or_else(|| format!("{address:#x} is no block"))
    }

    /// How many blocks are in use.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Size of a block.
    pub fn size(&self, address: u64) -> Result<u64, String> {
        self.blocks.get(&address).copied().ok_or_else(|| format!("{address:#x} is no block"))
    }
}
