//! Places what lies behind the last ordinary stream: hole locator, memory list, XSAVE areas, memory, hole table.

use super::FormatError;
use super::holes::{HoleEntry, HoleLocator, HoleTableHeader};
use super::memory_block::MemoryBlock;
use super::memory_writer::size_of_encoded;
use minidump_common::format::{MINIDUMP_MEMORY_DESCRIPTOR, MINIDUMP_MEMORY_DESCRIPTOR64};

/// Alignment of what comes before the memory in the file, areas included.
pub(crate) const MEMORY_ALIGNMENT: usize = 16;

/// Alignment of the memory in the file: a cache line. Most of a dump's bytes are copied to the page cache at this offset in a
/// page, and a processor's block copy takes three times as long to a destination that is not aligned to its lines.
pub(crate) const MEMORY_START_ALIGNMENT: u64 = 64;

/// Alignment of the hole table in the file.
pub(crate) const HOLE_TABLE_ALIGNMENT: u64 = 8;

/// The end of the file. Offsets are in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The memory list must be a `Memory64List`.
    pub wide: bool,
    /// Where the XSAVE areas begin.
    pub areas: u64,
    /// Where the memory begins.
    pub memory: u64,
    /// Where the hole table begins, if there is one.
    pub hole_table: Option<u64>,
    /// Size of the file.
    pub total: u64,
}

/// Places the tail behind `position`, which is a multiple of 4. `areas` is the size of the XSAVE areas, a multiple of
/// the memory's alignment. `hole_capacity` is `None` without a hole table.
///
/// The narrow memory list is taken when a 32-bit offset reaches every byte of the file, and `wide` is not asked for.
pub(crate) fn place(
    wide: bool,
    position: u64,
    areas: u64,
    block: &MemoryBlock<'_>,
    hole_capacity: Option<u32>,
) -> Result<Tail, FormatError> {
    let narrow = place_with(false, position, areas, block, hole_capacity);
    match narrow.filter(|tail| !wide && u32::try_from(tail.total).is_ok()) {
        Some(tail) => Ok(tail),
        None => place_with(true, position, areas, block, hole_capacity)
            .ok_or(FormatError::OutOfReach { offset: position, size: block.size() }),
    }
}

fn place_with(
    wide: bool,
    position: u64,
    areas_size: u64,
    block: &MemoryBlock<'_>,
    hole_capacity: Option<u32>,
) -> Option<Tail> {
    let (head, entry) = if wide {
        (16, size_of_encoded::<MINIDUMP_MEMORY_DESCRIPTOR64>())
    } else {
        (4, size_of_encoded::<MINIDUMP_MEMORY_DESCRIPTOR>())
    };
    let locator = hole_capacity.map_or(0, |_| size_of_encoded::<HoleLocator>() as u64);
    let list = (block.ranges().len() as u64).checked_mul(entry as u64)?.checked_add(head)?;
    let list = if block.is_listed() { list } else { 0 };
    let areas = position
        .checked_add(locator)?
        .checked_add(list)?
        .checked_next_multiple_of(MEMORY_ALIGNMENT as u64)?;
    let memory = areas.checked_add(areas_size)?.checked_next_multiple_of(MEMORY_START_ALIGNMENT)?;
    let end = memory.checked_add(block.size())?;
    let Some(capacity) = hole_capacity else {
        return Some(Tail { wide, areas, memory, hole_table: None, total: end });
    };
    let table = end.checked_next_multiple_of(HOLE_TABLE_ALIGNMENT)?;
    let entries = u64::from(capacity).checked_mul(size_of_encoded::<HoleEntry>() as u64)?;
    let table_size = entries.checked_add(size_of_encoded::<HoleTableHeader>() as u64)?;
    let total = table.checked_add(table_size)?;
    Some(Tail { wide, areas, memory, hole_table: Some(table), total })
}

#[cfg(test)]
mod tests {
    use super::*;
    use minidump_snapshot::{MemoryPlan, PlannedRange, Purpose};

    fn plan(size: u64) -> MemoryPlan {
        MemoryPlan::from_ranges(vec![PlannedRange { start: 0x1000, size, purpose: Purpose::Stack }], vec![])
    }

    #[test]
    fn the_last_byte_that_32_bits_reach_decides_on_the_memory_list() {
        // Behind position 100: 4 + 16 bytes of memory list, padded to 128.
        let largest = u64::from(u32::MAX) - 128;
        for (size, wide, total) in
            [(largest, false, u64::from(u32::MAX)), (largest + 1, true, (1 << 32) + 64)]
        {
            let plan = plan(size);
            let tail = place(false, 100, 0, &MemoryBlock::new(&plan).unwrap(), None).unwrap();
            let (areas, memory) = if wide { (144, 192) } else { (128, 128) };
            assert_eq!(tail, Tail { wide, areas, memory, hole_table: None, total });
        }
    }

    #[test]
    fn a_wide_memory_list_can_be_asked_for() {
        let plan = plan(16);
        let tail = place(true, 100, 0, &MemoryBlock::new(&plan).unwrap(), None).unwrap();
        assert_eq!(tail, Tail { wide: true, areas: 144, memory: 192, hole_table: None, total: 208 });
    }

    #[test]
    fn the_hole_table_is_the_aligned_end_of_the_file() {
        let plan = plan(13);
        let tail = place(false, 100, 32, &MemoryBlock::new(&plan).unwrap(), Some(3)).unwrap();
        let total = 208 + 16 + 3 * 16;
        let expected = Tail { wide: false, areas: 144, memory: 192, hole_table: Some(208), total };
        assert_eq!(tail, expected);
    }

    #[test]
    fn a_file_beyond_64_bits_is_an_error() {
        let plan = plan(u64::MAX - 0x1000);
        let block = MemoryBlock::new(&plan).unwrap();
        assert!(matches!(
            place(false, 0x2000, 0, &block, None),
            Err(FormatError::OutOfReach { offset: 0x2000, .. })
        ));
    }
}
