//! An image where the loader has put it.

use super::ImageBytes;
use minidump_snapshot::MemorySource;

/// An image in a target's memory.
#[derive(Clone, Copy)]
pub struct MemoryImage<'a> {
    /// Of the target.
    pub memory: &'a dyn MemorySource,
    /// Address of the image.
    pub base: u64,
    /// First address behind it, as far as it is known.
    pub end: u64,
}

impl ImageBytes for MemoryImage<'_> {
    fn read(&self, rva: u32, buffer: &mut [u8]) -> usize {
        let Some(address) = self.base.checked_add(rva.into()) else { return 0 };
        let room = usize::try_from(self.end.saturating_sub(address)).unwrap_or(usize::MAX);
        let size = buffer.len().min(room);
        buffer.get_mut(..size).map_or(0, |buffer| self.memory.read(address, buffer).done)
    }

    fn read_data(&self, rva: u32, _offset: u32, buffer: &mut [u8]) -> usize {
        if rva == 0 { 0 } else { self.read(rva, buffer) }
    }
}
