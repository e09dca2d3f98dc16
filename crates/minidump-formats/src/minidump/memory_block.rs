use super::FormatError;
use minidump_snapshot::{MemoryPlan, PlannedRange};

/// Where the planned memory lies in the file: the ranges follow each other without gaps, in the order of the plan.
/// Offsets are relative to the first of them.
pub(crate) struct MemoryBlock<'a> {
    ranges: &'a [PlannedRange],
    /// First address, size and offset of each range, by address.
    by_address: Vec<(u64, u64, u64)>,
    size: u64,
    is_listed: bool,
}

impl<'a> MemoryBlock<'a> {
    pub(crate) fn new(plan: &'a MemoryPlan) -> Result<Self, FormatError> {
        let ranges = plan.ranges();
        let mut by_address = Vec::with_capacity(ranges.len());
        let mut size = 0_u64;
        for range in ranges {
            let bad = FormatError::BadRange { address: range.start, size: range.size };
            let next = size.checked_add(range.size);
            let (Some(next), Some(_)) = (next, range.start.checked_add(range.size)) else { return Err(bad) };
            by_address.push((range.start, range.size, size));
            size = next;
        }
        by_address.sort_unstable();
        Ok(Self { ranges, by_address, size, is_listed: true })
    }

    /// No memory at all, and no list of it.
    pub(crate) fn unlisted() -> Self {
        Self { ranges: &[], by_address: Vec::new(), size: 0, is_listed: false }
    }

    /// Whether the file has a list of the ranges.
    pub(crate) fn is_listed(&self) -> bool {
        self.is_listed
    }

    pub(crate) fn ranges(&self) -> &'a [PlannedRange] {
        self.ranges
    }

    /// About how many bytes the list takes.
    pub(crate) fn list_size(&self) -> usize {
        self.ranges.len().saturating_mul(16).saturating_add(16)
    }

    /// Size in bytes of all ranges together.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Offset of the `size` bytes at `address`, if one range holds them all.
    pub(crate) fn locate(&self, address: u64, size: u64) -> Option<u64> {
        let next = self.by_address.partition_point(|(start, _, _)| *start <= address);
        let (start, range_size, offset) = self.by_address.get(next.checked_sub(1)?)?;
        let inside = address.checked_sub(*start)?;
        let held = inside.checked_add(size)? <= *range_size;
        (held && size > 0).then(|| offset.saturating_add(inside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minidump_snapshot::Purpose;

    fn range(start: u64, size: u64, purpose: Purpose) -> PlannedRange {
        PlannedRange { start, size, purpose }
    }

    #[test]
    fn ranges_lie_in_the_order_of_the_plan_and_are_found_by_address() {
        let ranges = vec![
            range(0x1000, 0x100, Purpose::Stack),
            range(0x9000, 0x40, Purpose::BlamedStack),
            range(0x5000, 0x10, Purpose::Code),
        ];
        let plan = MemoryPlan::from_ranges(ranges, vec![]);
        let block = MemoryBlock::new(&plan).unwrap();
        assert_eq!(block.size(), 0x150);
        assert_eq!(block.locate(0x9000, 0x40), Some(0));
        assert_eq!(block.locate(0x9010, 0x10), Some(0x10));
        assert_eq!(block.locate(0x5000, 0x10), Some(0x40));
        assert_eq!(block.locate(0x10ff, 1), Some(0x50 + 0xff));
    }

    #[test]
    fn what_no_single_range_holds_has_no_place() {
        let plan = MemoryPlan::from_ranges(vec![range(0x1000, 0x100, Purpose::Stack)], vec![]);
        let block = MemoryBlock::new(&plan).unwrap();
        assert_eq!(block.locate(0x10ff, 2), None);
        assert_eq!(block.locate(0xfff, 1), None);
        assert_eq!(block.locate(0x1100, 1), None);
        assert_eq!(block.locate(0x1000, 0), None);
        assert_eq!(block.locate(u64::MAX, u64::MAX), None);
    }

    #[test]
    fn a_range_over_the_end_of_the_address_space_is_refused() {
        let plan = MemoryPlan::from_ranges(vec![range(u64::MAX - 1, 3, Purpose::Stack)], vec![]);
        let error = MemoryBlock::new(&plan).err().unwrap();
        assert!(matches!(error, FormatError::BadRange { address, size: 3 } if address == u64::MAX - 1));
    }
}
