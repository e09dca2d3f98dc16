/// A set of addresses as sorted ranges that do not touch.
#[derive(Debug, Clone, Default)]
pub(super) struct Intervals {
    /// First address and the first address behind the range.
    ranges: Vec<(u64, u64)>,
}

impl Intervals {
    /// The addresses of all `ranges`, which may be unsorted, empty and overlapping.
    pub(super) fn new(mut ranges: Vec<(u64, u64)>) -> Self {
        ranges.retain(|(start, end)| start < end);
        ranges.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            match joined.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        Self { ranges: joined }
    }

    /// The range that holds `address`.
    pub(super) fn holding(&self, address: u64) -> Option<(u64, u64)> {
        self.reaching(address).first().copied().filter(|(start, _)| *start <= address)
    }

    /// Calls `change` with those of `bytes`, which lie at `address`, that the set holds: address and bytes of each
    /// piece.
    pub(super) fn change(&self, address: u64, bytes: &mut [u8], mut change: impl FnMut(u64, &mut [u8])) {
        let end = address.saturating_add(bytes.len() as u64);
        let inside = self.reaching(address).iter().take_while(|range| range.0 < end);
        for (from, to) in inside.map(|range| (range.0.max(address), range.1.min(end))) {
            let offset = |at: u64| usize::try_from(at - address).ok();
            let piece = offset(from).zip(offset(to)).and_then(|(from, to)| bytes.get_mut(from..to));
            if let Some(piece) = piece {
                change(from, piece);
            }
        }
    }

    /// How many of the `size` bytes at `address` lie in front of the first byte that the set holds.
    pub(super) fn gap(&self, address: u64, size: usize) -> usize {
        let Some((start, _)) = self.reaching(address).first() else { return size };
        usize::try_from(start.saturating_sub(address)).unwrap_or(usize::MAX).min(size)
    }

    /// The ranges, by address.
    pub(super) fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// The ranges that end above `address`.
    fn reaching(&self, address: u64) -> &[(u64, u64)] {
        let index = self.ranges.partition_point(|(_, end)| *end <= address);
        self.ranges.get(index..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> Intervals {
        Intervals::new(vec![(0x30, 0x40), (0x10, 0x20), (0x20, 0x28), (0x5, 0x5), (0x34, 0x38), (9, 2)])
    }

    #[test]
    fn ranges_that_touch_are_one_and_empty_ones_none() {
        assert_eq!(set().ranges, [(0x10, 0x28), (0x30, 0x40)]);
    }

    #[test]
    fn an_address_is_found_in_the_range_that_holds_it() {
        let found = [0x0f, 0x10, 0x27, 0x28, 0x30, 0x3f, 0x40, u64::MAX].map(|at| set().holding(at));
        let (low, high) = (Some((0x10, 0x28)), Some((0x30, 0x40)));
        assert_eq!(found, [None, low, low, None, high, high, None, None]);
    }

    #[test]
    fn a_gap_ends_at_the_next_range() {
        let gaps = [0, 0x0f, 0x10, 0x27, 0x28, 0x3f, 0x40, u64::MAX].map(|at| set().gap(at, 12));
        assert_eq!(gaps, [12, 1, 0, 0, 8, 0, 12, 12]);
    }

    #[test]
    fn only_the_bytes_that_the_set_holds_are_changed() {
        for (address, expected) in [
            (0x18, vec![(0x18, 16), (0x30, 8)]),
            (0x28, vec![(0x30, 16)]),
            (0x40, vec![]),
            (u64::MAX, vec![]),
        ] {
            let mut found = Vec::new();
            set().change(address, &mut [0; 32], |at, bytes| found.push((at, bytes.len())));
            assert_eq!(found, expected, "{address:#x}");
        }
    }
}
