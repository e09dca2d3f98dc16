//! A library as the linker made it: its segments, and which pointers the dynamic linker would have to write.
//! Source: mach-o/loader.h, mach-o/nlist.h.

use crate::fixups::{self, Fixups};
use crate::reader::Reader;
use crate::{Arch, Error};
use std::collections::BTreeMap;

const MAGIC: u32 = 0xfeed_facf;
const LC_SEGMENT_64: u32 = 0x19;
const LC_SYMTAB: u32 = 0x2;
const LC_DYLD_INFO: u32 = 0x22;
const LC_DYLD_INFO_ONLY: u32 = 0x8000_0022;
const LC_DYLD_CHAINED_FIXUPS: u32 = 0x8000_0034;
/// Kinds of sections of thread-local variables: initial values, and zeros.
const THREAD_LOCAL: [u32; 2] = [0x11, 0x12];

/// A part of the file that is mapped.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Address, counted from the first byte of the library.
    pub address: u64,
    /// Bytes in memory.
    pub size: u64,
    /// Its first bytes; zeros follow.
    pub bytes: Vec<u8>,
}

/// Thread-local variables of the library.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadLocals {
    /// Address of the initial values.
    pub address: u64,
    /// Bytes of all.
    pub size: u64,
}

/// A library.
#[derive(Debug)]
pub struct MachO {
    /// What it is made for.
    pub arch: Arch,
    /// In the order of the file.
    pub segments: Vec<Segment>,
    /// Pointers to be written.
    pub fixups: Fixups,
    /// Functions and variables that others may use, by name.
    pub exports: BTreeMap<String, u64>,
    /// Thread-local variables.
    pub locals: ThreadLocals,
}

#[derive(Default)]
struct Commands {
    segments: Vec<Segment>,
    locals: Vec<(u64, u64)>,
    symbols: Option<usize>,
    info: Option<usize>,
    chains: Option<usize>,
}

impl MachO {
    /// Reads a library.
    ///
    /// # Errors
    /// When it is not what LLVM's linker makes for this architecture.
    pub fn parse(file: &[u8], arch: Arch) -> Result<Self, Error> {
        let reader = Reader(file);
        if (reader.u32(0), reader.u32(4)) != (Some(MAGIC), Some(arch.cpu_type())) {
            return Err(Error::MachO("it is no 64-bit Mach-O file of this architecture"));
        }
        let commands = Commands::read(reader).ok_or(Error::MachO("its load commands end early"))?;
        let addresses: Vec<u64> = commands.segments.iter().map(|segment| segment.address).collect();
        let fixups = match (commands.info, commands.chains) {
            (Some(at), _) => fixups::opcodes(reader, at, &addresses),
            (None, Some(at)) => fixups::chained(reader, at, &commands.segments),
            (None, None) => None,
        };
        let exports = commands.symbols.and_then(|at| exports(reader, at));
        let start = commands.locals.iter().map(|(start, _)| *start).min().unwrap_or(0);
        let end = commands.locals.iter().map(|(start, size)| start + size).max().unwrap_or(0);
        Ok(Self {
            arch,
            fixups: fixups.ok_or(Error::MachO("what its pointers point at cannot be read"))?,
            segments: commands.segments,
            exports: exports.ok_or(Error::MachO("its symbols cannot be read"))?,
            locals: ThreadLocals { address: start, size: end - start },
        })
    }

    /// Names of all that it takes from other libraries.
    #[must_use]
    pub fn imports(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.fixups.imports.iter().map(|import| import.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Commands {
    fn read(reader: Reader<'_>) -> Option<Self> {
        let mut commands = Self::default();
        let mut at = 32;
        for _ in 0..reader.u32(16)? {
            match reader.u32(at)? {
                LC_SEGMENT_64 => commands.segment(reader, at)?,
                LC_SYMTAB => commands.symbols = Some(at),
                LC_DYLD_INFO | LC_DYLD_INFO_ONLY => commands.info = Some(at),
                LC_DYLD_CHAINED_FIXUPS => commands.chains = Some(at),
                _ => {}
            }
            at = at.checked_add(reader.offset(at + 4)?)?;
        }
        Some(commands)
    }

    fn segment(&mut self, reader: Reader<'_>, at: usize) -> Option<()> {
        let (offset, size) = (reader.u64(at + 40)?, reader.u64(at + 48)?);
        let bytes = reader.bytes(usize::try_from(offset).ok()?, usize::try_from(size).ok()?)?.to_vec();
        self.segments.push(Segment { address: reader.u64(at + 24)?, size: reader.u64(at + 32)?, bytes });
        for index in 0..reader.offset(at + 64)? {
            let section = at + 72 + index * 80;
            if THREAD_LOCAL.contains(&(reader.u32(section + 64)? & 0xff)) {
                self.locals.push((reader.u64(section + 32)?, reader.u64(section + 40)?));
            }
        }
        Some(())
    }
}

/// The external, defined symbols of LC_SYMTAB.
fn exports(reader: Reader<'_>, at: usize) -> Option<BTreeMap<String, u64>> {
    let (symbols, count, texts) = (reader.offset(at + 8)?, reader.offset(at + 12)?, reader.offset(at + 16)?);
    let mut exports = BTreeMap::new();
    for index in 0..count {
        let entry = symbols + index * 16;
        let kind = *reader.0.get(entry + 4)?;
        // N_EXT and N_SECT.
        if kind & 0x0f == 0x0f {
            let name = reader.text(texts.checked_add(reader.offset(entry)?)?)?;
            exports.insert(name.to_owned(), reader.u64(entry + 8)?);
        }
    }
    Some(exports)
}
