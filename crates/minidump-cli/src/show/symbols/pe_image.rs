//! The bytes of a PE image by their offset from its base: from the memory in the dump, or from the file on this machine.
//!
//! Source: <https://learn.microsoft.com/windows/win32/debug/pe-format>.

use super::files::open_regular;
use minidump::UnifiedMemoryList;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// `IMAGE_FILE_MACHINE_AMD64`, and the magic number of an optional header of 64 bits.
const AMD64: u16 = 0x8664;
const PE32_PLUS: u16 = 0x20b;
/// Offset of the exception directory in such a header.
const EXCEPTION_DIRECTORY: u32 = 112 + 3 * 8;
/// Highest offset of the PE headers that is believed.
const HIGHEST_HEADERS: u32 = 1 << 20;
/// Most sections looked at: the loader takes no more than 96.
const MOST_SECTIONS: u32 = 96;

/// An image of x86-64.
pub struct PeImage<'a> {
    bytes: Bytes<'a>,
    /// Where the table of functions begins, and how many bytes it has.
    pub functions: (u32, u32),
    time_stamp: u32,
    size: u32,
}

enum Bytes<'a> {
    /// The dump's memory, with the base of the image.
    Memory(&'a UnifiedMemoryList<'a>, u64),
    File(File, Vec<Section>),
}

/// Where a section lies in memory and in the file.
struct Section {
    address: u32,
    size: u32,
    offset: u32,
}

impl<'a> PeImage<'a> {
    /// The image at `base`, if the dump has its headers.
    pub fn in_memory(memory: &'a UnifiedMemoryList<'a>, base: u64) -> Option<Self> {
        Self::parse(Bytes::Memory(memory, base))
    }

    /// The image in the file at `path`, if it is the one with this time stamp and size.
    pub fn in_file(path: &Path, time_stamp: u32, size: u32) -> Option<Self> {
        let file = open_regular(path)?;
        let sections = sections(&file)?;
        let image = Self::parse(Bytes::File(file, sections))?;
        (image.time_stamp == time_stamp && image.size == size).then_some(image)
    }

    fn parse(bytes: Bytes<'a>) -> Option<Self> {
        let mut image = Self { bytes, functions: (0, 0), time_stamp: 0, size: 0 };
        if image.read::<2>(0)? != *b"MZ" {
            return None;
        }
        let headers = image.word(0x3c).filter(|headers| *headers < HIGHEST_HEADERS)?;
        let optional = headers + 24;
        let is_amd64 = image.short(headers + 4)? == AMD64 && image.short(optional)? == PE32_PLUS;
        if image.read::<4>(headers)? != *b"PE\0\0" || !is_amd64 {
            return None;
        }
        image.time_stamp = image.word(headers + 8)?;
        image.size = image.word(optional + 56)?;
        let directory = optional + EXCEPTION_DIRECTORY;
        image.functions = (image.word(directory)?, image.word(directory + 4)?);
        (image.functions.1 > 0).then_some(image)
    }

    /// Whether the table of functions is there, and not only headers that tell of it.
    pub fn has_functions(&self) -> bool {
        let (table, size) = self.functions;
        let last = table.checked_add(size).and_then(|end| end.checked_sub(4));
        self.word(table).is_some() && last.and_then(|last| self.word(last)).is_some()
    }

    /// The 16-bit number at an offset from the base.
    pub fn short(&self, at: u32) -> Option<u16> {
        self.read(at).map(u16::from_le_bytes)
    }

    /// The 32-bit number at an offset from the base.
    pub fn word(&self, at: u32) -> Option<u32> {
        self.read(at).map(u32::from_le_bytes)
    }

    /// The bytes at an offset from the base.
    pub fn read<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        match &self.bytes {
            Bytes::Memory(memory, base) => {
                let start = base.checked_add(at.into())?;
                let range = memory.memory_at_address(start)?;
                let skip = usize::try_from(start.checked_sub(range.base_address())?).ok()?;
                range.bytes().get(skip..)?.first_chunk().copied()
            }
            Bytes::File(file, sections) => {
                let inside = |section: &&Section| at.checked_sub(section.address) < Some(section.size);
                let section = sections.iter().filter(|section| at >= section.address).find(inside)?;
                let offset = section.offset.checked_add(at.checked_sub(section.address)?)?;
                read_at(file, offset)
            }
        }
    }
}

/// The sections of a file, with its headers as the first one.
fn sections(file: &File) -> Option<Vec<Section>> {
    let headers = u32::from_le_bytes(read_at(file, 0x3c)?);
    let headers = Some(headers).filter(|headers| *headers < HIGHEST_HEADERS)?;
    let count = u32::from(u16::from_le_bytes(read_at(file, headers + 6)?)).min(MOST_SECTIONS);
    let optional_size = u16::from_le_bytes(read_at(file, headers + 20)?);
    let size_of_headers = u32::from_le_bytes(read_at(file, headers + 24 + 60)?);
    let table = headers + 24 + u32::from(optional_size);
    let mut sections = vec![Section { address: 0, size: size_of_headers, offset: 0 }];
    for index in 0..count {
        let [_, _, _, _, a0, a1, a2, a3, s0, s1, s2, s3, o0, o1, o2, o3] =
            read_at::<16>(file, table + 40 * index + 8)?;
        sections.push(Section {
            address: u32::from_le_bytes([a0, a1, a2, a3]),
            size: u32::from_le_bytes([s0, s1, s2, s3]),
            offset: u32::from_le_bytes([o0, o1, o2, o3]),
        });
    }
    Some(sections)
}

fn read_at<const N: usize>(mut file: &File, offset: u32) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(offset.into())).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Where the file of a module may be on this machine: on a drive, if this is Windows. Never on another machine, which
/// whoever wrote the dump must not make this one talk to.
pub fn place(path: &str) -> Option<PathBuf> {
    let is_on_drive = matches!(path.as_bytes(), [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic());
    (cfg!(windows) && is_on_drive).then(|| PathBuf::from(path))
}
