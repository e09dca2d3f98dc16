//! The DOS header, the NT headers of both sizes, and the section table.

use super::super::reader::{u16_at, u32_at};
use super::ImageBytes;

/// Bytes that are read at first: all headers of a usual image.
const HEAD: usize = 1024;
/// Size of `IMAGE_DOS_HEADER`, and the offset of `e_lfanew` in it.
const DOS_HEADER: usize = 64;
const E_LFANEW: usize = 60;
/// Signature and `IMAGE_FILE_HEADER`.
const FILE_HEADER: usize = 24;
/// `IMAGE_OPTIONAL_HEADER64` with its 16 directories.
const OPTIONAL_HEADER: usize = 240;
/// Largest `e_lfanew`: the loader takes no larger one.
const MAX_E_LFANEW: u32 = 0x1000_0000;
/// `IMAGE_FILE_DLL`.
const FILE_DLL: u16 = 0x2000;
/// Most sections that the loader takes, and bytes of each header.
const MAX_SECTIONS: u16 = 96;
const SECTION_HEADER: usize = 40;
/// Numbers of the directories.
const RESOURCES: usize = 2;
const DEBUG: usize = 6;

/// `IMAGE_DATA_DIRECTORY`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directory {
    /// Relative virtual address; zero for one that the image does not have.
    pub rva: u32,
    /// In bytes.
    pub size: u32,
}

/// What the headers tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Headers {
    /// `TimeDateStamp`.
    pub time_stamp: u32,
    /// `CheckSum`.
    pub check_sum: u32,
    /// `SizeOfImage`, in bytes.
    pub image_size: u32,
    /// `SizeOfHeaders`, in bytes.
    pub own_size: u32,
    /// Whether it is a library, not a program.
    pub is_library: bool,
    /// Resources.
    pub resources: Directory,
    /// Debug directory.
    pub debug: Directory,
    /// Where the section table begins, and its entries.
    sections: (u32, u16),
}

/// Why there are no headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoHeaders {
    /// Not readable.
    #[error("its headers cannot be read")]
    Unreadable,
    /// Something else lies there.
    #[error("its headers are overwritten")]
    Overwritten,
}

impl Headers {
    /// Reads the headers at the beginning of `image`.
    ///
    /// # Errors
    /// They cannot be read, or are none.
    pub fn read(image: &impl ImageBytes) -> Result<Self, NoHeaders> {
        let mut head = vec![0; HEAD];
        let came = image.read(0, &mut head);
        head.truncate(came);
        let dos = head.get(..DOS_HEADER).ok_or(NoHeaders::Unreadable)?;
        let at = u32_at(dos, E_LFANEW).ok_or(NoHeaders::Unreadable)?;
        if !dos.starts_with(b"MZ") || at > MAX_E_LFANEW {
            return Err(NoHeaders::Overwritten);
        }
        let size = FILE_HEADER + OPTIONAL_HEADER;
        let start = usize::try_from(at).map_err(|_| NoHeaders::Overwritten)?;
        if let Some(nt) = head.get(start..start.saturating_add(size)) {
            return Self::parse(nt, at);
        }
        let mut nt = vec![0; size];
        let came = image.read(at, &mut nt);
        nt.truncate(came);
        Self::parse(&nt, at)
    }

    /// Reads the NT headers `nt`, which begin at `at` and may be cut off where they are shorter than the longest ones.
    fn parse(nt: &[u8], at: u32) -> Result<Self, NoHeaders> {
        if nt.len() < FILE_HEADER {
            return Err(NoHeaders::Unreadable);
        }
        let optional = nt.get(FILE_HEADER..).unwrap_or_default();
        let optional_size = u16_at(nt, 20).unwrap_or(0);
        let optional = optional.get(..usize::from(optional_size)).unwrap_or(optional);
        // IMAGE_NT_OPTIONAL_HDR32_MAGIC and …64_MAGIC; the directories' number and the directories follow the sizes of stack
        // and heap, which are as long as pointers.
        let directories = match (nt.starts_with(b"PE\0\0"), u16_at(optional, 0)) {
            (true, Some(0x10b)) => 92,
            (true, Some(0x20b)) => 108,
            _ => return Err(NoHeaders::Overwritten),
        };
        let number = |at| u32_at(optional, at).ok_or(NoHeaders::Unreadable);
        let count = number(directories)?;
        let directory = |index: usize| {
            let at = directories + 4 + 8 * index;
            let there = u32::try_from(index).is_ok_and(|index| index < count);
            there
                .then(|| Some(Directory { rva: u32_at(optional, at)?, size: u32_at(optional, at + 4)? }))
                .flatten()
                .unwrap_or_default()
        };
        let table = u32::from(optional_size).saturating_add(at).saturating_add(24);
        let headers = Self {
            time_stamp: u32_at(nt, 8).unwrap_or(0),
            check_sum: number(64)?,
            image_size: number(56)?,
            own_size: number(60)?,
            is_library: u16_at(nt, 22).unwrap_or(0) & FILE_DLL != 0,
            resources: directory(RESOURCES),
            debug: directory(DEBUG),
            sections: (table, u16_at(nt, 6).unwrap_or(0).min(MAX_SECTIONS)),
        };
        if headers.image_size == 0 { Err(NoHeaders::Overwritten) } else { Ok(headers) }
    }

    /// Reads the section table, of which `image` may hold but a part.
    pub fn sections(&self, image: &impl ImageBytes) -> Vec<Section> {
        let (rva, count) = self.sections;
        let mut table = vec![0; usize::from(count) * SECTION_HEADER];
        let came = image.read(rva, &mut table);
        table.truncate(came);
        table.chunks_exact(SECTION_HEADER).filter_map(Section::parse).collect()
    }
}

/// `IMAGE_SECTION_HEADER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// `VirtualAddress`, relative.
    pub rva: u32,
    /// `SizeOfRawData`.
    pub size: u32,
    /// `PointerToRawData`: offset in the file.
    pub offset: u32,
}

impl Section {
    fn parse(header: &[u8]) -> Option<Self> {
        Some(Self { rva: u32_at(header, 12)?, size: u32_at(header, 16)?, offset: u32_at(header, 20)? })
    }
}
