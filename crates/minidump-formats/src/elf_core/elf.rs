//! Headers of ELF64, little endian. Source: System V ABI (gABI) chapters 4 and 5, <elf.h>.

use super::fields::Fields;

/// Size in bytes of `Elf64_Ehdr`.
pub(crate) const HEADER_SIZE: u64 = 64;
/// Size in bytes of `Elf64_Phdr`.
pub(crate) const PROGRAM_HEADER_SIZE: u64 = 56;
/// Size in bytes of `Elf64_Shdr`.
pub(crate) const SECTION_HEADER_SIZE: u64 = 64;
/// `PN_XNUM`: the number of program headers is in `sh_info` of section header 0.
pub(crate) const MANY_PROGRAM_HEADERS: u16 = 0xffff;

/// `ET_CORE`
const TYPE_CORE: u16 = 4;
/// `PT_LOAD` and `PT_NOTE`
const SEGMENT_LOAD: u32 = 1;
const SEGMENT_NOTE: u32 = 4;
/// `PF_X`, `PF_W`, `PF_R`
pub(crate) const EXECUTABLE: u32 = 1;
pub(crate) const WRITABLE: u32 = 2;
pub(crate) const READABLE: u32 = 4;

/// What a program header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// First address.
    pub address: u64,
    /// Size in memory.
    pub memory_size: u64,
    /// Offset in the file.
    pub offset: u64,
    /// Size in the file.
    pub file_size: u64,
    /// `PF_*`
    pub flags: u32,
}

/// `PT_LOAD`. Its alignment is a page when address and offset allow, else none.
pub(crate) fn load(segment: &Segment, page_size: u64) -> Vec<u8> {
    let congruent = segment.address.wrapping_sub(segment.offset).is_multiple_of(page_size);
    program_header(SEGMENT_LOAD, segment, if congruent { page_size } else { 1 })
}

/// `PT_NOTE`.
pub(crate) fn notes(offset: u64, size: u64) -> Vec<u8> {
    let segment = Segment { address: 0, memory_size: 0, offset, file_size: size, flags: 0 };
    program_header(SEGMENT_NOTE, &segment, super::note::ALIGNMENT as u64)
}

fn program_header(kind: u32, segment: &Segment, alignment: u64) -> Vec<u8> {
    let Segment { address, memory_size, offset, file_size, flags } = *segment;
    // p_paddr means nothing for a process.
    let words = [offset, address, 0, file_size, memory_size, alignment];
    Fields::with_capacity(56).u32(kind).u32(flags).words(&words).finish()
}

/// The header of a core for `machine` (`EM_*`) with `segments` program headers right behind it, and section header 0 of
/// which they are followed when the number does not fit the header.
pub(crate) fn header(machine: u16, segments: u64) -> Vec<u8> {
    /// ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE
    const IDENTITY: [u8; 8] = [0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
    let small = u16::try_from(segments).ok().filter(|count| *count < MANY_PROGRAM_HEADERS);
    let sections = if small.is_some() { 0 } else { section_header_offset(segments) };
    Fields::with_capacity(64)
        .bytes(&IDENTITY)
        .zeros_to(16)
        .u16(TYPE_CORE)
        .u16(machine)
        .u32(1)
        .words(&[0, HEADER_SIZE, sections])
        .u32(0)
        .u16(64)
        .u16(56)
        .u16(small.unwrap_or(MANY_PROGRAM_HEADERS))
        .u16(if small.is_some() { 0 } else { 64 })
        .u16(u16::from(small.is_none()))
        .u16(0)
        .finish()
}

/// Whether section header 0 is there.
pub(crate) fn needs_section_header(segments: u64) -> bool {
    segments >= u64::from(MANY_PROGRAM_HEADERS)
}

/// Offset of the first byte behind the program headers.
pub(crate) fn section_header_offset(segments: u64) -> u64 {
    segments.saturating_mul(PROGRAM_HEADER_SIZE).saturating_add(HEADER_SIZE)
}

/// Section header 0 as an extension of the file header: `sh_size` is the number of section headers, `sh_info` that of
/// program headers.
pub(crate) fn section_header(segments: u32) -> Vec<u8> {
    Fields::with_capacity(64).u32(0).u32(0).words(&[0, 0, 0, 1]).u32(0).u32(segments).zeros_to(64).finish()
}
