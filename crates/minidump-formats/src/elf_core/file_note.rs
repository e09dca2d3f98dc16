//! `NT_FILE`: which files are mapped where.
//!
//! 64-bit words: number of entries, size of a page; for each entry first address, first address behind it, offset in the
//! file in pages; then the names, each ended by a NUL, in the same order (`fs/binfmt_elf.c` `fill_files_note`).

use super::fields::Fields;
use minidump_snapshot::{Region, RegionKind, Snapshot};

/// Contents of the note; `None` when no file is mapped. Devices are left out: a debugger opens what is listed here.
pub(crate) fn mapped_files(snapshot: &Snapshot, page_size: u64) -> Option<Vec<u8>> {
    let files: Vec<&Region> = snapshot.regions.iter().filter(|region| is_file(region)).collect();
    if files.is_empty() {
        return None;
    }
    let mut fields = Fields::default().words(&[files.len() as u64, page_size]);
    for region in &files {
        fields = fields.words(&[region.start, region.end, region.offset / page_size]);
    }
    for region in &files {
        fields = fields.bytes(region.name.split(|byte| *byte == 0).next().unwrap_or_default()).bytes(&[0]);
    }
    Some(fields.finish())
}

fn is_file(region: &Region) -> bool {
    region.kind == RegionKind::File && region.name.starts_with(b"/") && region.start < region.end
}
