//! The few parts of an ELF file that a module is known by (System V gABI chapters 4 and 5, elf(5)): file header,
//! program headers, section headers. Little-endian, 32 and 64 bit. All values are hostile: they are read, bounded,
//! and never trusted further than that.

use super::bytes::{u16_at, u32_at, u64_at};

/// Page size of every target of this back end.
pub const PAGE_SIZE: u64 = 4096;
/// Bytes of the largest file header.
pub const HEADER_SIZE: usize = 64;
/// Most program headers accepted. Linkers write about a dozen; the kernel takes no more than fit into 64 KiB.
pub const MAX_PROGRAM_HEADERS: u16 = 128;
/// Most bytes that a table of program headers can have.
pub const MAX_TABLE_SIZE: usize = 128 * 56;
/// Most note segments looked at.
const MAX_NOTES: usize = 8;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_NOTE: u32 = 4;
const PT_PHDR: u32 = 6;
const PF_X: u32 = 1;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;

/// `address` rounded down to a page.
#[must_use]
pub fn page_floor(address: u64) -> u64 {
    address & !(PAGE_SIZE - 1)
}

/// `address` rounded up to a page; `None` at the end of the address space.
#[must_use]
pub fn page_ceil(address: u64) -> Option<u64> {
    address.checked_add(PAGE_SIZE - 1).map(page_floor)
}

/// Width of addresses (`EI_CLASS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// ELFCLASS32.
    Elf32,
    /// ELFCLASS64.
    Elf64,
}

impl Class {
    /// The address-sized number at offset `at`.
    #[must_use]
    pub fn word_at(self, bytes: &[u8], at: usize) -> Option<u64> {
        match self {
            Self::Elf32 => u32_at(bytes, at).map(u64::from),
            Self::Elf64 => u64_at(bytes, at),
        }
    }

    /// Bytes of one program header.
    #[must_use]
    pub fn program_header_size(self) -> u16 {
        match self {
            Self::Elf32 => 32,
            Self::Elf64 => 56,
        }
    }

    /// Bytes of one section header.
    #[must_use]
    pub fn section_header_size(self) -> u16 {
        match self {
            Self::Elf32 => 40,
            Self::Elf64 => 64,
        }
    }
}

/// The file header (`Elf64_Ehdr`), as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Width of addresses.
    pub class: Class,
    /// File offset of the program headers (`e_phoff`).
    pub program_headers: u64,
    /// Their number (`e_phnum)`: 1 to [`MAX_PROGRAM_HEADERS`].
    pub program_header_count: u16,
    /// File offset of the section headers (`e_shoff`); 0 when there are none.
    pub section_headers: u64,
    /// Their number (`e_shnum`).
    pub section_header_count: u16,
    /// Which section holds the names of the sections (`e_shstrndx`).
    pub section_names: u16,
}

impl Header {
    /// Parses the start of a file. `None` unless it is an executable or a shared object of the right byte order with
    /// a plausible table of program headers.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        const LITTLE_ENDIAN: u8 = 1;
        const CURRENT_VERSION: u8 = 1;
        let [0x7f, b'E', b'L', b'F', class, LITTLE_ENDIAN, CURRENT_VERSION, ..] = *bytes else { return None };
        let class = match class {
            1 => Class::Elf32,
            2 => Class::Elf64,
            _ => return None,
        };
        // Offsets of e_phoff, e_shoff and e_phentsize in the two layouts.
        let (phoff, shoff, sizes) = match class {
            Class::Elf32 => (28, 32, 42),
            Class::Elf64 => (32, 40, 54),
        };
        let size_at = |index: usize| u16_at(bytes, sizes + 2 * index);
        let (entry_size, count) = (size_at(0)?, size_at(1)?);
        let (section_size, section_count, section_names) = (size_at(2)?, size_at(3)?, size_at(4)?);
        let usable_sections = section_size == class.section_header_size();
        let header = Self {
            class,
            program_headers: class.word_at(bytes, phoff)?,
            program_header_count: count,
            section_headers: class.word_at(bytes, shoff)?,
            section_header_count: if usable_sections { section_count } else { 0 },
            section_names,
        };
        let loadable = matches!(u16_at(bytes, 16)?, ET_EXEC | ET_DYN);
        let plausible =
            entry_size == class.program_header_size() && (1..=MAX_PROGRAM_HEADERS).contains(&count);
        (loadable && plausible).then_some(header)
    }

    /// Bytes of the table of program headers, at most [`MAX_TABLE_SIZE`].
    #[must_use]
    pub fn table_size(&self) -> usize {
        usize::from(self.program_header_count) * usize::from(self.class.program_header_size())
    }
}

/// A `PT_LOAD` program header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Offset in the file.
    pub offset: u64,
    /// Address before relocation.
    pub address: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// To be mapped executable.
    pub executable: bool,
}

/// A `PT_NOTE` or `PT_DYNAMIC` program header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset in the file.
    pub offset: u64,
    /// Address before relocation.
    pub address: u64,
    /// Bytes in the file.
    pub size: u64,
    /// Alignment (`p_align`).
    pub align: u64,
}

/// What the program headers say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segments {
    /// `PT_LOAD`, in the order of the table.
    pub loads: Vec<Load>,
    /// The first few `PT_NOTE`.
    pub notes: Vec<Span>,
    /// The first `PT_DYNAMIC`.
    pub dynamic: Option<Span>,
    /// Address of the table itself before relocation (`PT_PHDR`).
    pub table: Option<u64>,
}

impl Segments {
    /// Parses a table of program headers. Entries that overflow the address space are left out.
    #[must_use]
    pub fn parse(table: &[u8], class: Class) -> Self {
        let mut segments = Self::default();
        let entries = table.chunks_exact(class.program_header_size().into());
        for entry in entries.take(MAX_PROGRAM_HEADERS.into()) {
            // An entry that cannot be has added nothing.
            let _ = segments.add(entry, class);
        }
        segments
    }

    fn add(&mut self, entry: &[u8], class: Class) -> Option<()> {
        // p_flags stands second in the 64-bit layout and seventh in the 32-bit one.
        let (flags, words) = match class {
            Class::Elf32 => (24, [4, 8, 16, 20, 28]),
            Class::Elf64 => (4, [8, 16, 32, 40, 48]),
        };
        let [offset, address, file_size, memory_size, align] = words.map(|at| class.word_at(entry, at));
        let (offset, address, size) = (offset?, address?, file_size?);
        let span = Span { offset, address, size, align: align? };
        match u32_at(entry, 0)? {
            PT_LOAD => {
                let memory_size = memory_size?.max(size);
                page_ceil(address.checked_add(memory_size)?)?;
                page_ceil(offset.checked_add(size)?)?;
                let executable = u32_at(entry, flags)? & PF_X != 0;
                self.loads.push(Load { offset, address, file_size: size, memory_size, executable });
            }
            PT_NOTE if self.notes.len() < MAX_NOTES => self.notes.push(span),
            PT_DYNAMIC => {
                self.dynamic.get_or_insert(span);
            }
            PT_PHDR => {
                self.table.get_or_insert(address);
            }
            _ => {}
        }
        Some(())
    }

    /// First address and first address behind all `PT_LOADs` before relocation, rounded outwards to pages. `None`
    /// when nothing is loaded.
    #[must_use]
    pub fn span(&self) -> Option<(u64, u64)> {
        let loads = self.loads.iter().filter(|load| load.memory_size > 0);
        let bounds = |load: &Load| {
            Some((page_floor(load.address), page_ceil(load.address.checked_add(load.memory_size)?)?))
        };
        loads.filter_map(bounds).reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    /// Pages before relocation to which the page of the file at `offset` is loaded. There may be several: where two
    /// segments meet inside a page of the file, both load that page.
    pub fn pages_of_offset(&self, offset: u64) -> impl Iterator<Item = u64> {
        let offset = page_floor(offset);
        self.loads.iter().filter_map(move |load| {
            let first = page_floor(load.offset);
            let end = page_ceil(load.offset.checked_add(load.file_size)?)?;
            let inside = first <= offset && offset < end;
            if inside { page_floor(load.address).checked_add(offset - first) } else { None }
        })
    }

    /// Whether a mapping that starts at `address` (before relocation) with the file's byte `offset` is a piece of
    /// this image.
    #[must_use]
    pub fn places(&self, address: u64, offset: u64) -> bool {
        self.loads.iter().any(|load| {
            let first = page_floor(load.address);
            let end = load.address.checked_add(load.file_size).and_then(page_ceil);
            first <= address
                && end.is_some_and(|end| address < end)
                && page_floor(load.offset).checked_add(address - first) == Some(offset)
        })
    }

    /// Offset in the file of the byte at `address` (before relocation), and how many bytes follow there.
    #[must_use]
    pub fn offset_of_address(&self, address: u64) -> Option<(u64, u64)> {
        self.loads.iter().find_map(|load| {
            let into = address.checked_sub(load.address).filter(|into| *into < load.file_size)?;
            Some((load.offset.checked_add(into)?, load.file_size - into))
        })
    }

    /// Address before relocation of the file's byte at `offset`, and how many bytes follow there.
    #[must_use]
    pub fn address_of_offset(&self, offset: u64) -> Option<(u64, u64)> {
        self.loads.iter().find_map(|load| {
            let into = offset.checked_sub(load.offset).filter(|into| *into < load.file_size)?;
            Some((load.address.checked_add(into)?, load.file_size - into))
        })
    }
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tests;
