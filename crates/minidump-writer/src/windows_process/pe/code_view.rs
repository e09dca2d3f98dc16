//! The debug directory and its `CodeView` record, which names the program database of an image.

use super::super::reader::u32_at;
use super::headers::Directory;
use super::{ImageBytes, Part, Unreadable};
use minidump_snapshot::ModuleId;

/// Size of `IMAGE_DEBUG_DIRECTORY`.
const ENTRY: usize = 28;
/// Most entries that are looked at. Linkers write six.
const MAX_ENTRIES: usize = 32;
/// `IMAGE_DEBUG_TYPE_CODEVIEW`.
const CODEVIEW: u32 = 2;
/// Longest record: a path has 260 characters mostly.
const MAX_RECORD: u32 = 4096;
/// Bytes of an `RSDS` record in front of the path: signature, GUID, age.
const RSDS: usize = 24;
/// Bytes of an `NB10` record in front of the path: signature, offset, time stamp, age.
const NB10: usize = 16;

/// The first record of an image whose debug directory is `directory`.
pub fn read(image: &impl ImageBytes, directory: Directory) -> Part<Vec<u8>> {
    let count = usize::try_from(directory.size).unwrap_or(usize::MAX) / ENTRY;
    if directory.rva == 0 || count == 0 {
        return Ok(None);
    }
    let entries = image.bytes(directory.rva, count.min(MAX_ENTRIES) * ENTRY).ok_or(Unreadable)?;
    let number = |entry: &[u8], at| u32_at(entry, at).unwrap_or(0);
    let Some(entry) = entries.chunks_exact(ENTRY).find(|entry| number(entry, 12) == CODEVIEW) else {
        return Ok(None);
    };
    let size = number(entry, 16);
    if size > MAX_RECORD {
        return Err(Unreadable);
    }
    let mut record = vec![0; usize::try_from(size).map_err(|_| Unreadable)?];
    let came = image.read_data(number(entry, 20), number(entry, 24), &mut record);
    let known = (record.starts_with(b"RSDS") && record.len() > RSDS)
        || (record.starts_with(b"NB10") && record.len() > NB10);
    if came == record.len() && known { Ok(Some(record)) } else { Err(Unreadable) }
}

/// The id in a record. An `NB10` one has none: its time stamp and age are not told apart from others by a GUID.
#[must_use]
pub fn module_id(record: &[u8]) -> Option<ModuleId> {
    let rest = record.strip_prefix(b"RSDS")?;
    let (guid, rest) = rest.split_first_chunk()?;
    Some(ModuleId::Pdb { guid: *guid, age: u32_at(rest, 0)? })
}
