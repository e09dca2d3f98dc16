//! Header and directory of a minidump, and what lies at an RVA.
//!
//! Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/>.

use crate::convert::words::{u32_at, u64_at};
use crate::convert::{ConvertError, InputFile};
use std::collections::BTreeMap;

/// Most entries of the directory that are read.
const MAX_STREAMS: u32 = 4096;
/// Most bytes of one stream that are read. Lists of very many threads or mappings stay below.
const MAX_STREAM: u64 = 256 << 20;
/// Longest name, in bytes of UTF-16.
const MAX_NAME: u32 = 64 << 10;
const DIRECTORY_ENTRY_SIZE: u64 = 12;

/// A minidump's streams.
#[derive(Debug)]
pub struct Streams<'a> {
    file: &'a InputFile,
    /// Offset and size by type; of streams of the same type the first counts.
    directory: BTreeMap<u32, (u32, u32)>,
    /// `TimeDateStamp`: seconds since 1970.
    pub time: u32,
    /// `Flags`: `MINIDUMP_TYPE`.
    pub flags: u64,
}

impl<'a> Streams<'a> {
    pub fn open(file: &'a InputFile) -> Result<Self, ConvertError> {
        let damaged = ConvertError::Damaged { what: "it has no whole minidump header" };
        let header: [u8; 32] = file.array(0).ok_or(damaged)?;
        let word = |offset| u32_at(&header, offset).unwrap_or(0);
        let (count, start, time) = (word(8).min(MAX_STREAMS), word(12), word(20));
        let bytes = file.bytes(start.into(), u64::from(count) * DIRECTORY_ENTRY_SIZE);
        let mut directory = BTreeMap::new();
        for entry in bytes.chunks_exact(12) {
            let word = |offset| u32_at(entry, offset).unwrap_or(0);
            if word(0) != 0 {
                directory.entry(word(0)).or_insert((word(8), word(4)));
            }
        }
        if directory.is_empty() {
            return Err(ConvertError::Damaged { what: "it has no streams" });
        }
        Ok(Self { file, directory, time, flags: u64_at(&header, 24).unwrap_or(0) })
    }

    /// The bytes of a stream, as far as the file has them.
    pub fn get(&self, kind: u32) -> Option<Vec<u8>> {
        let (offset, size) = self.directory.get(&kind)?;
        Some(self.file.bytes((*offset).into(), u64::from(*size).min(MAX_STREAM)))
    }

    /// `size` bytes at an RVA; `None` when the file has not all of them, or they are more than `most`.
    pub fn at(&self, rva: u32, size: u32, most: u32) -> Option<Vec<u8>> {
        let bytes = self.file.bytes(rva.into(), size.min(most).into());
        (size <= most && bytes.len() as u64 == u64::from(size)).then_some(bytes)
    }

    /// `size` bytes at a 64-bit offset, as far as the file has them.
    pub fn far(&self, offset: u64, size: u64) -> Vec<u8> {
        self.file.bytes(offset, size.min(MAX_STREAM))
    }

    /// The `MINIDUMP_STRING` at an RVA, as UTF-8.
    pub fn string(&self, rva: u64) -> Option<String> {
        let size = u32::from_le_bytes(self.file.array(rva)?).min(MAX_NAME);
        let bytes = self.file.bytes(rva.checked_add(4)?, size.into());
        let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
        Some(String::from_utf16_lossy(&units))
    }

    /// The UTF-8 string with a length in front at an RVA, as Crashpad has them.
    pub fn utf8(&self, rva: u32) -> Option<String> {
        let size = u32::from_le_bytes(self.file.array(rva.into())?);
        let bytes = self.at(rva.checked_add(4)?, size, MAX_NAME)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The entries of a list with a 32-bit count in front, and perhaps four bytes of padding behind that.
    pub fn list(&self, kind: u32, entry_size: usize) -> Vec<Vec<u8>> {
        let bytes = self.get(kind).unwrap_or_default();
        let count = u32_at(&bytes, 0).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        let padded =
            bytes.len().checked_sub(8).is_some_and(|rest| count.checked_mul(entry_size) == Some(rest));
        let start = if padded { 8 } else { 4 };
        entries(bytes.get(start..).unwrap_or_default(), entry_size, count)
    }

    /// The entries of a list that begins with the sizes of header and entry. Its count has 32 or 64 bits, all the same
    /// for lists that fit into memory.
    pub fn sized_list(&self, kind: u32, least: usize) -> Vec<Vec<u8>> {
        let bytes = self.get(kind).unwrap_or_default();
        let size = |offset| u32_at(&bytes, offset).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        let (header, entry, count) = (size(0), size(4), size(8));
        if entry < least {
            return Vec::new();
        }
        entries(bytes.get(header..).unwrap_or_default(), entry, count)
    }

    /// The ranges of memory: first address, size, offset in the file.
    pub fn memory(&self) -> Vec<(u64, u64, u64)> {
        const MEMORY_LIST: u32 = 5;
        const MEMORY_64_LIST: u32 = 9;
        let narrow = self.list(MEMORY_LIST, 16).into_iter().filter_map(|entry| {
            Some((u64_at(&entry, 0)?, u32_at(&entry, 8)?.into(), u32_at(&entry, 12)?.into()))
        });
        let mut ranges: Vec<(u64, u64, u64)> = narrow.collect();
        let wide = self.get(MEMORY_64_LIST).unwrap_or_default();
        let (Some(count), Some(mut offset)) = (u64_at(&wide, 0), u64_at(&wide, 8)) else { return ranges };
        let entries = wide.get(16..).unwrap_or_default().chunks_exact(16);
        for entry in entries.take(usize::try_from(count).unwrap_or(usize::MAX)) {
            let (Some(start), Some(size)) = (u64_at(entry, 0), u64_at(entry, 8)) else { break };
            ranges.push((start, size, offset));
            let Some(next) = offset.checked_add(size) else { break };
            offset = next;
        }
        ranges
    }
}

fn entries(bytes: &[u8], size: usize, count: usize) -> Vec<Vec<u8>> {
    bytes.chunks_exact(size.max(1)).take(count).map(<[u8]>::to_vec).collect()
}
