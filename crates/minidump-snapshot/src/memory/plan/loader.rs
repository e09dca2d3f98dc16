use super::{Part, Purpose};
use crate::Snapshot;
use crate::region::{RegionKind, find};

/// `sizeof(struct r_debug)` and of the public part of `struct link_map` on 64-bit targets (<link.h>).
const STRUCT_SIZE: u64 = 40;

/// The dynamic loader's rendezvous structure, its list, and the names in it.
pub(super) fn parts(snapshot: &Snapshot) -> Vec<Part> {
    let mut parts = Vec::new();
    let Some(debug) = snapshot.linux.as_ref().and_then(|facts| facts.dso_debug.as_ref()) else {
        return parts;
    };
    // The loader's structures are data of the target: only what lies inside a mapping is kept.
    let mut keep = |start: u64, size: u64| {
        let region = find(&snapshot.regions, start);
        let region = region.filter(|region| region.kind != RegionKind::Device && !region.dont_dump);
        parts.extend(region.and_then(|region| {
            Part::new((start, start.saturating_add(size).min(region.end)), Purpose::Loader)
        }));
    };
    keep(debug.address, STRUCT_SIZE);
    keep(debug.dynamic, debug.dynamic_contents.len() as u64);
    for entry in &debug.link_maps {
        keep(entry.address, STRUCT_SIZE);
        keep(entry.name_address, (entry.name.len() as u64).saturating_add(1));
    }
    parts
}
