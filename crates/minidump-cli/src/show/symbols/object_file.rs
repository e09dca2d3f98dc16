//! An ELF or Mach-O file, of which only the parts asked for are read.

use super::compressed_section::decompressed;
use super::files::{is_plain_name, open_regular};
use super::slice::{Slice, slices};
use super::table::Symbol;
use gimli::{EndianArcSlice, RunTimeEndian};
use object::read::ReadCache;
use object::{
    Architecture, BinaryFormat, File, FileKind, Object as _, ObjectSection as _, ObjectSegment as _,
    ObjectSymbol, SegmentFlags, SymbolKind,
};
use std::ffi::OsString;
use std::io::{Cursor, Read, Seek};
use std::path::Path;
use std::sync::Arc;

/// A section's contents as the DWARF readers want them.
pub type Section = EndianArcSlice<RunTimeEndian>;

/// Bytes of code that the id of a module without build id covers (Breakpad, `common/linux/file_id.cc`).
const HASHED_CODE: u64 = 4096;
/// Size of that id in bytes.
const HASH_SIZE: usize = 16;
/// Most symbols read of one file.
const MOST_SYMBOLS: usize = 4 << 20;
/// Most executable segments looked at. Real files have one or two.
const MOST_SEGMENTS: usize = 64;
/// Where a segment may start relative to its page: the mapping begins at the page.
const PAGE: u64 = 4096;

/// What the bytes come from.
trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// An ELF file, or a Mach-O file for one processor.
pub struct ObjectFile {
    data: ReadCache<Box<dyn Source>>,
}

impl ObjectFile {
    /// Opens the file at `path` if it is a regular file and of a known format.
    pub fn open(path: &Path) -> Option<Self> {
        Self::new(Box::new(open_regular(path)?))
    }

    /// Opens the file at `path`, or all parts of it if it is a universal file.
    pub fn open_all(path: &Path) -> Vec<Self> {
        let Some(file) = open_regular(path) else { return Vec::new() };
        let parts = slices(&file);
        if parts.is_empty() {
            return Self::new(Box::new(file)).into_iter().collect();
        }
        let open = |part| Self::new(Box::new(Slice::new(open_regular(path)?, part)));
        parts.into_iter().filter_map(open).collect()
    }

    /// A file in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        Self::new(Box::new(Cursor::new(bytes)))
    }

    fn new(source: Box<dyn Source>) -> Option<Self> {
        let own = Self { data: ReadCache::new(source) };
        let kind = FileKind::parse(&own.data);
        let is_known = matches!(kind, Ok(FileKind::Elf32 | FileKind::Elf64 | FileKind::MachO64));
        (is_known && own.file().is_some()).then_some(own)
    }

    /// The parsed headers; the bytes behind them are read once and kept.
    fn file(&self) -> Option<File<'_, &ReadCache<Box<dyn Source>>>> {
        File::parse(&self.data).ok()
    }

    /// Its UUID if it is a Mach-O file, else its GNU build id, or without one the hash of its code.
    pub fn id(&self) -> Option<Vec<u8>> {
        let file = self.file()?;
        if self.is_mach_o() {
            return file.mach_uuid().ok().flatten().map(|uuid| uuid.to_vec());
        }
        match file.build_id() {
            Ok(Some(id)) => Some(id.to_vec()),
            _ => self.text_hash(),
        }
    }

    /// Whether it is the build that `id` names.
    pub fn is(&self, id: &[u8]) -> bool {
        self.id().is_some_and(|own| own == id)
    }

    /// The first page of `.text`, folded to 16 bytes with exclusive or: what Breakpad takes for a missing build id.
    fn text_hash(&self) -> Option<Vec<u8>> {
        let file = self.file()?;
        let text = file.section_by_name(".text")?;
        let size = text.size().min(HASHED_CODE);
        let code = text.data_range(text.address(), size).ok().flatten()?;
        let mut hash = vec![0u8; HASH_SIZE];
        for chunk in code.chunks(HASH_SIZE) {
            hash.iter_mut().zip(chunk).for_each(|(sum, byte)| *sum ^= byte);
        }
        (!code.is_empty()).then_some(hash)
    }

    /// The file name in `.gnu_debuglink`.
    pub fn debug_link(&self) -> Option<OsString> {
        let file = self.file()?;
        let (name, _) = file.gnu_debuglink().ok().flatten()?;
        let name = OsString::from(String::from_utf8(name.to_vec()).ok()?);
        is_plain_name(&name).then_some(name)
    }

    /// The build id in `.gnu_debugaltlink`.
    pub fn shared_id(&self) -> Option<Vec<u8>> {
        let file = self.file()?;
        let (_, id) = file.gnu_debugaltlink().ok().flatten()?;
        Some(id.to_vec())
    }

    /// Whether it tells source lines.
    pub fn has_lines(&self) -> bool {
        self.file()
            .is_some_and(|file| file.section_by_name(".debug_line").is_some_and(|section| section.size() > 0))
    }

    /// Whether it is a Mach-O file.
    pub fn is_mach_o(&self) -> bool {
        self.file().is_some_and(|file| file.format() == BinaryFormat::MachO)
    }

    /// Whether it is code for AArch64.
    pub fn is_arm64(&self) -> bool {
        self.file().is_some_and(|file| matches!(file.architecture(), Architecture::Aarch64))
    }

    /// Whether it is code for x86-64.
    pub fn is_x86_64(&self) -> bool {
        self.file().is_some_and(|file| matches!(file.architecture(), Architecture::X86_64))
    }

    /// Byte order.
    pub fn endian(&self) -> RunTimeEndian {
        let little = self.file().is_none_or(|file| file.is_little_endian());
        if little { RunTimeEndian::Little } else { RunTimeEndian::Big }
    }

    /// What to add to the addresses in the file when its lowest page is mapped at `base`; of a Mach-O file its header.
    pub fn load_bias(&self, base: u64) -> Option<u64> {
        if let Some(text) = self.text_address() {
            return Some(base.wrapping_sub(text));
        }
        let file = self.file()?;
        let lowest = file.segments().map(|segment| segment.address()).min()?;
        Some(base.wrapping_sub(lowest & !(PAGE - 1)))
    }

    /// Address in a Mach-O file of its header, which is the start of `__TEXT`.
    pub fn text_address(&self) -> Option<u64> {
        let file = self.file().filter(|_| self.is_mach_o())?;
        let text = file
            .segments()
            .take(MOST_SEGMENTS)
            .find(|segment| segment.name_bytes().is_ok_and(|name| name == Some(b"__TEXT")))?;
        Some(text.address())
    }

    /// First and last address of what is mapped executable.
    pub fn code(&self) -> Vec<(u64, u64)> {
        let Some(file) = self.file() else { return Vec::new() };
        let executable = file.segments().filter(|segment| match segment.flags() {
            SegmentFlags::Elf { p_flags, .. } => p_flags.0 & object::elf::PF_X.0 != 0,
            SegmentFlags::MachO { initprot, .. } => initprot.0 & object::macho::VM_PROT_EXECUTE.0 != 0,
            _ => false,
        });
        let ranges = executable.filter_map(|segment| {
            Some((segment.address(), segment.address().checked_add(segment.size().checked_sub(1)?)?))
        });
        ranges.take(MOST_SEGMENTS).collect()
    }

    /// A section's address in the file and its contents, decompressed.
    pub fn section(&self, name: &str) -> Option<(u64, Section)> {
        let file = self.file()?;
        let section = file.section_by_name(name)?;
        let contents = decompressed(section.compressed_data().ok()?)?;
        Some((section.address(), Section::new(Arc::from(contents.as_ref()), self.endian())))
    }

    /// Address of the section in the file.
    pub fn section_address(&self, name: &str) -> Option<u64> {
        Some(self.file()?.section_by_name(name)?.address())
    }

    /// The functions that its symbol table names, or its dynamic one when it has no other.
    pub fn symbols(&self) -> Vec<Symbol> {
        let Some(file) = self.file() else { return Vec::new() };
        let mut full: Vec<Symbol> =
            file.symbols().filter_map(|symbol| function(&symbol)).take(MOST_SYMBOLS).collect();
        if self.is_mach_o() {
            full.iter_mut().for_each(strip_underscore);
        }
        if !full.is_empty() {
            return full;
        }
        file.dynamic_symbols().filter_map(|symbol| function(&symbol)).take(MOST_SYMBOLS).collect()
    }
}

/// Takes away the underscore that Mach-O puts in front of the names of C.
fn strip_underscore(symbol: &mut Symbol) {
    if let Some(name) = symbol.name.strip_prefix('_') {
        symbol.name = name.into();
    }
}

/// A symbol that stands for code. Hand-written assembly often lacks the type, so that untyped symbols count too.
fn function<'data>(symbol: &impl ObjectSymbol<'data>) -> Option<Symbol> {
    let is_code = matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown);
    let name = symbol.name().ok().filter(|name| !name.is_empty())?;
    (is_code && symbol.is_definition()).then(|| Symbol {
        address: symbol.address(),
        size: symbol.size(),
        global: symbol.is_global(),
        name: name.into(),
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_elf_files_are_taken() {
        assert!(ObjectFile::from_bytes(Vec::new()).is_none());
        assert!(ObjectFile::from_bytes(b"\x7fELF".to_vec()).is_none());
        assert!(ObjectFile::from_bytes(vec![0x7f; 4096]).is_none());
        assert!(ObjectFile::from_bytes(b"!<arch>\n".to_vec()).is_none());
        assert!(ObjectFile::open(Path::new("/etc/passwd")).is_none());
    }

    #[test]
    fn a_file_cut_anywhere_is_no_danger() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for size in (0..4096).step_by(61).chain([own.len() / 3, own.len() / 2, own.len() - 1]) {
            if let Some(elf) = ObjectFile::from_bytes(own[..size].to_vec()) {
                let _ =
                    (elf.id(), elf.symbols(), elf.section(".eh_frame"), elf.load_bias(0), elf.has_lines());
            }
        }
    }

    #[test]
    fn this_test_has_an_id_symbols_and_lines() {
        let elf = ObjectFile::open(&std::env::current_exe().unwrap()).unwrap();
        assert!(elf.is(&elf.id().unwrap()));
        assert!(!elf.is(b""));
        assert!(elf.has_lines());
        let main =
            elf.symbols().iter().find(|symbol| &*symbol.name == "main").map(|symbol| symbol.address).unwrap();
        let is_code = |address| elf.code().iter().any(|(first, last)| (*first..=*last).contains(&address));
        assert!(is_code(main) && !is_code(0));
        assert!(elf.symbols().iter().any(|symbol| &*symbol.name == "main"));
        assert_eq!(elf.load_bias(0x5555_0000_0000), Some(0x5555_0000_0000));
    }
}
