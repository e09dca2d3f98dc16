use super::{Part, Purpose};
use crate::region::{Region, RegionKind};
use crate::{Protection, SoftError, Stage};

/// The parts of the given ranges (first address, size) that can be read. What cannot is reported, once for each range.
pub(super) fn parts(
    regions: &[Region],
    ranges: &[(u64, u64)],
    soft_errors: &mut Vec<SoftError>,
) -> Vec<Part> {
    let mut parts = Vec::with_capacity(ranges.len());
    for (start, size) in ranges {
        let end = start.saturating_add(*size);
        let mut kept = 0_u64;
        let first = regions.partition_point(|region| region.end <= *start);
        let behind = regions.get(first..).unwrap_or_default();
        for region in behind.iter().take_while(|region| region.start < end).filter(|region| is_open(region)) {
            let bounds = (region.start.max(*start), region.end.min(end));
            let Some(part) = Part::new(bounds, Purpose::Application) else { continue };
            kept = kept.saturating_add(part.range.size);
            push(&mut parts, part);
        }
        if kept < *size {
            let message = format!(
                "{} bytes of memory that the application asked for are not mapped, or not to be read",
                size - kept
            );
            soft_errors.push(SoftError::new(Stage::Memory, message).range(*start, *size));
        }
    }
    parts
}

/// Memory that the application may ask for.
fn is_open(region: &Region) -> bool {
    region.protection.contains(Protection::READ) && region.kind != RegionKind::Device && !region.dont_dump
}

/// Appends `part`, to the last one where it continues that.
fn push(parts: &mut Vec<Part>, part: Part) {
    match parts.last_mut().map(|last| &mut last.range) {
        Some(last) if last.end() == part.range.start => last.size = last.size.saturating_add(part.range.size),
        _ => parts.push(part),
    }
}
