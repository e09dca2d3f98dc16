//! The notes that LLDB writes and reads, as foreign input.

use super::commands::Commands;
use crate::convert::InputFile;
use crate::convert::words::{u32_at, u64_at, until_nul};
use minidump_formats::apple_record::ListedImage;
use serde_json::Value;

/// Longest note that is read: lists of very many images stay below.
pub const MAX_NOTE: u64 = 64 << 20;
/// Longest of those with ids of threads.
const MAX_METADATA: u64 = 4 << 20;
/// Longest of the small ones.
const MAX_SMALL: u64 = 4096;
/// Most images and most segments of one that are read.
pub const MAX_IMAGES: usize = 1 << 16;
const MAX_SEGMENTS: u32 = 256;
/// Most segments in all.
const MAX_ALL_SEGMENTS: usize = 1 << 20;
/// `PATH_MAX` of Apple's systems.
pub const MAX_PATH: usize = 1024;
/// A field of 64 bits that is not set.
const UNSET: u64 = u64::MAX;

/// "main bin spec"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MainBinary {
    pub address: Option<u64>,
    pub slide: Option<u64>,
    /// Zeros when it is not known.
    pub uuid: [u8; 16],
    pub page_size: Option<u32>,
    /// `PLATFORM_*`
    pub platform: u32,
}

/// How many bits of a pointer are an address. Version 4 has them for the lower and for the upper half of memory.
pub fn address_bits(commands: &Commands, file: &InputFile) -> Option<u8> {
    let note = commands.note(file, b"addrable bits", MAX_SMALL)?;
    let bits = matches!(u32_at(&note, 0)?, 3 | 4).then(|| u32_at(&note, 4)).flatten()?;
    u8::try_from(bits).ok().filter(|bits| (1..=64).contains(bits))
}

/// The ids of all threads, in the order of their commands.
pub fn thread_ids(commands: &Commands, file: &InputFile) -> Option<Vec<u64>> {
    let note = commands.note(file, b"process metadata", MAX_METADATA)?;
    let metadata: Value = serde_json::from_slice(&note).ok()?;
    let threads = metadata.get("threads")?.as_array()?;
    let id = |thread: &Value| thread.get("thread_id").and_then(Value::as_u64).unwrap_or(0);
    (threads.len() == commands.threads.len()).then(|| threads.iter().map(id).collect())
}

/// The main executable: version, type, address, from version 2 on slide, UUID, logarithm of the page size, platform.
pub fn main_binary(commands: &Commands, file: &InputFile) -> Option<MainBinary> {
    let note = commands.note(file, b"main bin spec", MAX_SMALL)?;
    let set = |value: u64| Some(value).filter(|value| *value != UNSET);
    let (slide, rest) = match u32_at(&note, 0)? {
        1 => (None, note.get(16..)?),
        _ => (set(u64_at(&note, 16)?), note.get(24..)?),
    };
    let page_size = u32_at(rest, 16).filter(|bits| (12..=16).contains(bits)).map(|bits| 1 << bits);
    Some(MainBinary {
        address: set(u64_at(&note, 8)?),
        slide,
        uuid: *rest.first_chunk()?,
        page_size,
        platform: u32_at(rest, 20).unwrap_or(0),
    })
}

/// The images. Offsets are those in the file, and may point anywhere.
pub fn images(commands: &Commands, file: &InputFile) -> Vec<ListedImage> {
    let Some(note) = commands.notes.iter().find(|note| note.owner == b"all image infos") else {
        return Vec::new();
    };
    let header = file.bytes(note.offset, 24);
    let (Some(1), Some(count), Some(entries)) = (u32_at(&header, 0), u32_at(&header, 4), u64_at(&header, 8))
    else {
        return Vec::new();
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(MAX_IMAGES);
    let bytes = file.bytes(entries, (count as u64).saturating_mul(48));
    let mut left = MAX_ALL_SEGMENTS;
    bytes.chunks_exact(48).filter_map(|entry| image(file, entry, &mut left)).collect()
}

fn image(file: &InputFile, entry: &[u8], left: &mut usize) -> Option<ListedImage> {
    let uuid = *entry.get(8..)?.first_chunk()?;
    let path = Some(u64_at(entry, 0)?).filter(|offset| *offset != UNSET);
    let path = path.map(|offset| until_nul(&file.bytes(offset, MAX_PATH as u64)).to_vec());
    let place = Some(u64_at(entry, 32)?).filter(|offset| *offset != UNSET);
    let count = u32_at(entry, 40)?.min(MAX_SEGMENTS);
    let bytes = place.map(|offset| file.bytes(offset, u64::from(count) * 32)).unwrap_or_default();
    let segment = |bytes: &[u8]| Some((*bytes.first_chunk()?, u64_at(bytes, 16)?));
    let mut segments: Vec<_> = bytes.chunks_exact(32).filter_map(segment).take(*left).collect();
    *left = left.saturating_sub(segments.len());
    let is_page_zero = |(name, _): &([u8; 16], u64)| until_nul(name) == b"__PAGEZERO";
    let page_zero = segments.iter().find(|segment| is_page_zero(segment)).map(|(_, address)| *address);
    segments.retain(|segment| !is_page_zero(segment));
    let (path, base) = (path.unwrap_or_default(), u64_at(entry, 24)?);
    let executing = u32_at(entry, 44)? != 0;
    Some(ListedImage { path, uuid, base, segments, page_zero, executing })
}
