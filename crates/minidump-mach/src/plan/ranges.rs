//! Plans that are made of other plans.

use minidump_snapshot::{MemoryPlan, PlannedRange, Purpose};

/// The ranges of `plan` for purposes that `wanted` names.
pub fn only(plan: &MemoryPlan, wanted: impl Fn(Purpose) -> bool) -> MemoryPlan {
    let ranges = plan.ranges().iter().copied().filter(|range| wanted(range.purpose)).collect();
    MemoryPlan::from_ranges(ranges, Vec::new())
}

/// What of `plan` does not lie in `had`.
pub fn missing(plan: &MemoryPlan, had: &MemoryPlan) -> MemoryPlan {
    let mut holes: Vec<(u64, u64)> = had.ranges().iter().map(|range| (range.start, range.end())).collect();
    holes.sort_unstable();
    let ranges = plan.ranges().iter().flat_map(|range| cut(*range, &holes)).collect();
    MemoryPlan::from_ranges(ranges, Vec::new())
}

/// `plan` without the sorted `holes`, which no stack gives way to.
pub fn without(plan: &MemoryPlan, holes: &[(u64, u64)]) -> MemoryPlan {
    let ranges = plan.ranges().iter();
    let ranges =
        ranges.flat_map(|range| if range.purpose.is_stack() { vec![*range] } else { cut(*range, holes) });
    MemoryPlan::from_ranges(ranges.collect(), plan.stacks().to_vec())
}

/// What the sorted `holes` leave of `range`.
fn cut(range: PlannedRange, holes: &[(u64, u64)]) -> Vec<PlannedRange> {
    let mut left = Vec::new();
    let mut start = range.start;
    let first = holes.partition_point(|(_, end)| *end <= start);
    for (low, high) in holes.get(first..).unwrap_or_default().iter().take_while(|(low, _)| *low < range.end())
    {
        if *low > start {
            left.push(PlannedRange { start, size: low - start, ..range });
        }
        start = start.max(*high);
    }
    if start < range.end() {
        left.push(PlannedRange { start, size: range.end() - start, ..range });
    }
    left
}
