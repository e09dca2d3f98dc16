//! ELF header and program headers (gABI chapters 4 and 5), as foreign input.

use crate::convert::words::{u16_at, u32_at, u64_at};
use crate::convert::{ConvertError, InputFile};

/// Most segments that are read. Linux' own limit of mappings is 65,530 unless raised.
const MAX_SEGMENTS: u64 = 1 << 20;
/// Program headers read at a time.
const BATCH: u64 = 1024;

const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const TYPE_CORE: u16 = 4;
const MACHINE_X86_64: u16 = 62;
const PROGRAM_HEADER_SIZE: u16 = 56;
/// `PN_XNUM`
const MANY: u16 = 0xffff;

/// `PT_LOAD` and `PT_NOTE`.
pub const LOAD: u32 = 1;
pub const NOTE: u32 = 4;
/// `PF_X`, `PF_W`, `PF_R`.
pub const EXECUTABLE: u32 = 1;
pub const WRITABLE: u32 = 2;
pub const READABLE: u32 = 4;

/// A program header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub file_size: u64,
    pub memory_size: u64,
}

impl Segment {
    /// Parses an `Elf64_Phdr`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            kind: u32_at(bytes, 0)?,
            flags: u32_at(bytes, 4)?,
            offset: u64_at(bytes, 8)?,
            address: u64_at(bytes, 16)?,
            file_size: u64_at(bytes, 32)?,
            memory_size: u64_at(bytes, 40)?,
        })
    }

    /// First address behind it; `None` when it runs over the end of the address space.
    pub fn end(&self) -> Option<u64> {
        self.address.checked_add(self.memory_size)
    }
}

/// Reads the program headers of a core. The second value tells how many of them are missing.
pub fn segments(file: &InputFile) -> Result<(Vec<Segment>, u64), ConvertError> {
    let header: [u8; 64] =
        file.array(0).ok_or(ConvertError::Damaged { what: "it has no whole ELF header" })?;
    check_machine(&header)?;
    let damaged = ConvertError::Damaged { what: "its program headers cannot be read" };
    let (Some(start), Some(entry_size), Some(count)) =
        (u64_at(&header, 32), u16_at(&header, 54), u16_at(&header, 56))
    else {
        return Err(damaged);
    };
    if entry_size != PROGRAM_HEADER_SIZE {
        return Err(damaged);
    }
    let count = if count == MANY { many(file, &header).unwrap_or(u64::from(MANY)) } else { count.into() };
    let mut segments = Vec::new();
    let mut index = 0;
    while index < count.min(MAX_SEGMENTS) {
        let batch = (count.min(MAX_SEGMENTS) - index).min(BATCH);
        let offset = start.saturating_add(index * u64::from(PROGRAM_HEADER_SIZE));
        let bytes = file.bytes(offset, batch * u64::from(PROGRAM_HEADER_SIZE));
        let parsed = bytes.chunks_exact(PROGRAM_HEADER_SIZE.into()).filter_map(Segment::parse);
        let before = segments.len();
        segments.extend(parsed);
        if ((segments.len() - before) as u64) < batch {
            break;
        }
        index += batch;
    }
    let missing = count.saturating_sub(segments.len() as u64);
    Ok((segments, missing))
}

fn check_machine(header: &[u8; 64]) -> Result<(), ConvertError> {
    let [_, _, _, _, class, order, ..] = *header;
    let (kind, machine) = (u16_at(header, 16), u16_at(header, 18));
    match (class, order) {
        (CLASS_64, LITTLE_ENDIAN) if kind != Some(TYPE_CORE) => Err(ConvertError::NotACore),
        (CLASS_64, LITTLE_ENDIAN) if machine == Some(MACHINE_X86_64) => Ok(()),
        (CLASS_64, LITTLE_ENDIAN) => Err(ConvertError::OtherMachine { what: "another processor" }),
        (_, LITTLE_ENDIAN) => Err(ConvertError::OtherMachine { what: "a 32-bit program" }),
        _ => Err(ConvertError::OtherMachine { what: "a big-endian processor" }),
    }
}

/// The number of program headers as section header 0 tells it.
fn many(file: &InputFile, header: &[u8; 64]) -> Option<u64> {
    let section: [u8; 64] = file.array(u64_at(header, 40)?)?;
    u32_at(&section, 44).map(u64::from)
}
