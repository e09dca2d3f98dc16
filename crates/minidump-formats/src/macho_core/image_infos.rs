//! The note "all image infos": which images lie where.
//!
//! * header, 24 bytes: version 1, number of images, offset of the entries, size of an entry, unused,
//! * entries, 48 bytes each: offset of the path, UUID, address of the Mach-O header, offset of the segments, their number,
//!   whether code of it was running,
//! * segments, 32 bytes each: name, address, unused,
//! * paths, each ended by a NUL.
//!
//! Offsets are those in the file. What is not known has the offset 2^64 - 1.

use crate::elf_core::Fields;
use minidump_snapshot::{MachImage, Module, ModuleId, Snapshot};

const VERSION: u32 = 1;
const HEADER_SIZE: u64 = 24;
const ENTRY_SIZE: u32 = 48;
const SEGMENT_SIZE: u64 = 32;
const UNKNOWN: u64 = u64::MAX;

/// What is put together.
struct Parts {
    entries: Fields,
    segments: Fields,
    paths: Vec<u8>,
    /// Offset in the file of the next segment.
    next_segment: u64,
    /// Offset in the file of the first path.
    paths_start: u64,
}

/// Whether the format can count the images.
pub(crate) fn can_be_counted(snapshot: &Snapshot) -> bool {
    u32::try_from(snapshot.modules.len()).is_ok()
}

/// Contents of the note, which lie at `offset` in the file. The main executable comes first: LLDB takes the first image
/// of a list for it. `None` when the format cannot count them.
pub(crate) fn contents(snapshot: &Snapshot, offset: u64) -> Option<Vec<u8>> {
    let count = u32::try_from(snapshot.modules.len()).ok()?;
    let image = |module: &Module| snapshot.apple.as_ref().and_then(|facts| facts.image_at(module.base));
    let segments = snapshot.modules.iter().filter_map(image).map(|image| image.segments.len() as u64);
    let segments: u64 = segments.fold(0, u64::saturating_add);
    let entries_start = offset.checked_add(HEADER_SIZE)?;
    let segments_start = u64::from(count).checked_mul(ENTRY_SIZE.into())?.checked_add(entries_start)?;
    let paths_start = segments.checked_mul(SEGMENT_SIZE)?.checked_add(segments_start)?;
    let mut parts = Parts {
        entries: Fields::default(),
        segments: Fields::default(),
        paths: Vec::new(),
        next_segment: segments_start,
        paths_start,
    };
    let main = snapshot.modules.iter().filter(|module| module.is_main);
    let others = snapshot.modules.iter().filter(|module| !module.is_main);
    for module in main.chain(others) {
        parts = parts.add(module, image(module));
    }
    let header = Fields::default().u32(VERSION).u32(count).u64(entries_start).u32(ENTRY_SIZE).u32(0);
    let lists = header.bytes(&parts.entries.finish()).bytes(&parts.segments.finish());
    Some(lists.bytes(&parts.paths).finish())
}

impl Parts {
    fn add(mut self, module: &Module, image: Option<&MachImage>) -> Self {
        let path = self.path(&module.path);
        let uuid = match module.id {
            Some(ModuleId::Uuid(uuid)) => uuid,
            _ => [0; 16],
        };
        let segments = image.map(|image| image.segments.as_slice()).unwrap_or_default();
        let count = u32::try_from(segments.len()).unwrap_or(u32::MAX);
        let place = if segments.is_empty() { UNKNOWN } else { self.next_segment };
        for segment in segments {
            self.segments = self.segments.bytes(&segment.name).u64(segment.address).u64(0);
            self.next_segment = self.next_segment.saturating_add(SEGMENT_SIZE);
        }
        let executing = image.is_some_and(|image| image.executing);
        let entry = self.entries.u64(path).bytes(&uuid).u64(module.base).u64(place);
        self.entries = entry.u32(count).u32(executing.into());
        self
    }

    /// Adds a path. Returns its offset in the file.
    fn path(&mut self, path: &[u8]) -> u64 {
        let text = path.split(|byte| *byte == 0).next().unwrap_or_default();
        if text.is_empty() {
            return UNKNOWN;
        }
        let offset = self.paths_start.saturating_add(self.paths.len() as u64);
        self.paths.extend_from_slice(text);
        self.paths.push(0);
        offset
    }
}
