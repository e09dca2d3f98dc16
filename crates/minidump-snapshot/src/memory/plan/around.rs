//! Memory around single addresses: instruction pointers, and what the crash was about.

use super::budget::Sizes;
use super::{Part, Purpose, merged};
use crate::region::{RegionKind, find};
use crate::{Protection, Region, Snapshot};

/// What `sizes` allows around the addresses of `snapshot`. No two parts of the same purpose overlap.
pub(super) fn parts(snapshot: &Snapshot, sizes: &Sizes) -> Vec<Part> {
    let mut parts = code(snapshot, sizes);
    let address = snapshot.exception.as_ref().map(|exception| exception.address);
    let region = address.and_then(|address| find(&snapshot.regions, address));
    let region = region.filter(|region| region.protection.contains(Protection::READ) && may_be_taken(region));
    parts.extend(address.zip(region).and_then(|(address, region)| {
        Part::new(window(region, address, sizes.crash_window), Purpose::Crash)
    }));
    parts
}

fn code(snapshot: &Snapshot, sizes: &Sizes) -> Vec<Part> {
    let mut pointers = Vec::with_capacity(snapshot.threads.len());
    for thread in &snapshot.threads {
        let blamed = snapshot.blamed_thread == Some(thread.id);
        let size = if blamed { sizes.blamed_code_window } else { sizes.code_window };
        pointers.extend(thread.instruction_pointer().filter(|_| size > 0).map(|ip| (ip, size)));
    }
    // Most threads wait at the same few places.
    pointers.sort_unstable();
    pointers.dedup();
    let mut ranges = Vec::with_capacity(pointers.len());
    for (ip, size) in pointers {
        let Some(region) = find(&snapshot.regions, ip) else { continue };
        // Memory that may only be executed can still be read through the kernel's debugging interface.
        if !region.protection.is_empty() && may_be_taken(region) {
            ranges.extend(Part::new(window(region, ip, size), Purpose::Code).map(|part| part.range));
        }
    }
    merged(ranges).into_iter().map(|range| Part { range, thread: None }).collect()
}

/// `size` bytes around `address`, as far as they lie in `region`.
fn window(region: &Region, address: u64, size: u64) -> (u64, u64) {
    let low = address.saturating_sub(size / 2).max(region.start);
    (low, address.saturating_add(size / 2).min(region.end))
}

fn may_be_taken(region: &Region) -> bool {
    region.kind != RegionKind::Device && !region.dont_dump
}
