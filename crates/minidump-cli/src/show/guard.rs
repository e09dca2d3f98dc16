//! Refuses dumps that grow without measure when they are read: every module and thread may name the same huge text.

use super::raw_dump::RawDump;
use minidump::format::MINIDUMP_STREAM_TYPE;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// Bytes of names and debug records that a reader may be made to copy.
const BUDGET: u64 = 256 << 20;
/// Longest name or debug record. The longest path of any system, in UTF-16, fits.
const LONGEST: u64 = 66_000;

/// Size of a `MINIDUMP_MODULE` and the offsets of `ModuleNameRva` and `CvRecord.DataSize` in it (minidumpapiset.h).
const MODULE: (usize, usize, usize) = (108, 20, 76);
/// Size of a `MINIDUMP_THREAD_NAME` and the offset of `RvaOfThreadName` in it (minidumpapiset.h).
const THREAD_NAME: (usize, usize) = (12, 4);

/// Whether all names and debug records of a little-endian dump together are of a sane size. `file` holds the dump.
pub fn is_sane(dump: &RawDump, file: &File, file_size: u64) -> bool {
    let (module_size, name_at, record_at) = MODULE;
    let (name_size, rva_at) = THREAD_NAME;
    let string_size = |entry: &[u8], at| string_size(file, u32_at(entry, at)?);
    let modules = entries(dump, MINIDUMP_STREAM_TYPE::ModuleListStream, module_size)
        .flat_map(|module| [string_size(module, name_at), u32_at(module, record_at)]);
    let names = entries(dump, MINIDUMP_STREAM_TYPE::ThreadNamesStream, name_size)
        .map(|entry| string_size(entry, rva_at));
    let sizes = modules.chain(names).flatten().map(u64::from);
    // What reaches over the end of the file is refused by the reader before it is copied.
    let total = sizes.filter(|size| *size <= file_size).try_fold(0u64, |sum, size| {
        let sum = sum.checked_add(size)?;
        (size <= LONGEST && sum <= BUDGET).then_some(sum)
    });
    total.is_some()
}

/// The entries of a list stream: a count and an array, with or without four bytes of padding between them.
fn entries(dump: &RawDump, stream: MINIDUMP_STREAM_TYPE, size: usize) -> impl Iterator<Item = &[u8]> {
    let bytes = dump.get_raw_stream(stream as u32).unwrap_or_default();
    let count = u32_at(bytes, 0).unwrap_or(0) as usize;
    let padding = if bytes.len().saturating_sub(4) % size == 4 { 4 } else { 0 };
    bytes.get(4 + padding..).unwrap_or_default().chunks_exact(size).take(count)
}

/// Size of the string at `offset`, which starts with its length in bytes.
fn string_size(mut file: &File, offset: u32) -> Option<u32> {
    let mut size = [0; 4];
    file.seek(SeekFrom::Start(offset.into())).ok()?;
    file.read_exact(&mut size).ok()?;
    Some(u32::from_le_bytes(size))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let field = bytes.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*field))
}
