use crate::bytes::u32_at;
use crate::image::{HEADER_SIZE, MAGIC, MH_BUNDLE, MH_DYLIB, MH_DYLINKER, MH_EXECUTE};
use crate::memory::TaskMemory;
use minidump_snapshot::{Protection, Region, RegionKind};

/// Most regions whose start is looked at.
const MOST_LOOKS: usize = 1 << 15;

/// Most images that are found.
const MOST_FOUND: usize = 16_384;

/// The addresses of the headers at the start of regions: all images that are not in the shared cache.
pub fn headers(regions: &[Region], memory: &TaskMemory<'_>, wanted: impl Fn(u32) -> bool) -> Vec<u64> {
    // Headers are never written to, except by who patches them; they lie in files, or, made by a debugger or a just-in-time
    // compiler, anywhere.
    let readable = |region: &&Region| {
        region.protection.contains(Protection::READ)
            && !matches!(region.kind, RegionKind::Device | RegionKind::Stack)
            && region.size() >= HEADER_SIZE as u64
    };
    let mut found = Vec::new();
    for region in regions.iter().filter(readable).take(MOST_LOOKS) {
        let Ok(header) = memory.read_vec(region.start, HEADER_SIZE) else { continue };
        let kind = u32_at(&header, 12).filter(|_| u32_at(&header, 0) == Some(MAGIC));
        if kind.is_some_and(&wanted) {
            found.push(region.start);
        }
        if found.len() == MOST_FOUND {
            break;
        }
    }
    found
}

/// Whether a file of that type is an image that runs.
pub fn is_image(file_type: u32) -> bool {
    matches!(file_type, MH_EXECUTE | MH_DYLIB | MH_DYLINKER | MH_BUNDLE)
}
