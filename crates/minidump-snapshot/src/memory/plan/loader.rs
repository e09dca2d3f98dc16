use super::{Part, Purpose};
use crate::Snapshot;
use crate::region::{RegionKind, find};

/// `sizeof(struct r_debug)` and of the public part of `struct link_map` on 64-bit targets (<link.h>).
const STRUCT_SIZE: u64 = 40;

/// The loader's structures are data of the target: only what lies inside a mapping is kept.
fn kept(snapshot: &Snapshot, (start, size): (u64, u64)) -> Option<Part> {
    let region = find(&snapshot.regions, start)?;
    let is_memory = region.kind != RegionKind::Device && !region.dont_dump;
    let end = start.saturating_add(size).min(region.end);
    if is_memory { Part::new((start, end), Purpose::Loader) } else { None }
}

/// The dynamic loader's rendezvous structure, its list, and the names in it; on Windows what the capture names.
pub(super) fn parts(snapshot: &Snapshot) -> Vec<Part> {
    if let Some(facts) = &snapshot.windows {
        return facts.structures.iter().filter_map(|range| kept(snapshot, *range)).collect();
    }
    let mut parts = Vec::new();
    let Some(debug) = snapshot.linux.as_ref().and_then(|facts| facts.dso_debug.as_ref()) else {
        return parts;
    };
    let mut keep = |start: u64, size: u64| parts.extend(kept(snapshot, (start, size)));
    keep(debug.address, STRUCT_SIZE);
    keep(debug.dynamic, debug.dynamic_contents.len() as u64);
    for entry in &debug.link_maps {
        keep(entry.address, STRUCT_SIZE);
        keep(entry.name_address, (entry.name.len() as u64).saturating_add(1));
    }
    parts
}
