//! Sections of an ELF image, found by name: for what no program header leads to.

use super::bytes::{c_string, u32_at};
use super::elf_image::{Class, Header};

/// Most section headers looked at.
const MAX_SECTIONS: u16 = 4096;
/// Most bytes of the table of section names looked at.
const MAX_NAMES: usize = 256 * 1024;

/// `SHT_PROGBITS`.
pub const PROGBITS: u32 = 1;
/// `SHT_NOTE`.
pub const NOTE: u32 = 7;

/// Bytes of an ELF image by offset in its file, from wherever they come.
pub trait ImageBytes {
    /// Reads from `offset` on into `buffer`; returns how many bytes came.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize;

    /// The bytes from `offset` on, at most `size`.
    fn bytes_at(&self, offset: u64, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        let done = self.read_at(offset, &mut bytes);
        bytes.truncate(done);
        bytes
    }
}

/// A section header, as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    name: u32,
    kind: u32,
    /// Offset in the file.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Alignment (`sh_addralign`).
    pub align: u64,
}

impl Section {
    fn parse(bytes: &[u8], class: Class) -> Option<Self> {
        let (offset, size, align) = match class {
            Class::Elf32 => (16, 20, 32),
            Class::Elf64 => (24, 32, 48),
        };
        Some(Self {
            name: u32_at(bytes, 0)?,
            kind: u32_at(bytes, 4)?,
            offset: class.word_at(bytes, offset)?,
            size: class.word_at(bytes, size)?,
            align: class.word_at(bytes, align)?,
        })
    }
}

/// The first section of type `kind` called `name`.
#[must_use]
pub fn find(image: &dyn ImageBytes, header: &Header, kind: u32, name: &[u8]) -> Option<Section> {
    if header.section_headers == 0 || header.section_header_count > MAX_SECTIONS {
        return None;
    }
    let entry_size = usize::from(header.class.section_header_size());
    let table = image.bytes_at(header.section_headers, entry_size * usize::from(header.section_header_count));
    let section_at = |index: usize| {
        let start = index.checked_mul(entry_size)?;
        Section::parse(table.get(start..start.checked_add(entry_size)?)?, header.class)
    };
    let name_table = section_at(header.section_names.into())?;
    let names_size = usize::try_from(name_table.size).unwrap_or(usize::MAX).min(MAX_NAMES);
    let names = image.bytes_at(name_table.offset, names_size);
    let is_called = |section: &Section| {
        let tail = usize::try_from(section.name).ok().and_then(|at| names.get(at..));
        tail.and_then(c_string) == Some(name)
    };
    let mut sections = (0..header.section_header_count.into()).filter_map(section_at);
    sections.find(|section| section.kind == kind && is_called(section))
}
