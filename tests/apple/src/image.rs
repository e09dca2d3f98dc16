//! A Mach-O file at an address of a process.

use crate::Arch;
use crate::tools::Tools;
use end_to_end::process;
use object::read::macho::{FatArch as _, MachOFatFile32};
use object::{Object as _, ObjectSegment as _, ObjectSymbol};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A segment as it lies in memory.
#[derive(Debug, Clone)]
pub struct Segment {
    /// `__TEXT`, `__DATA` and so on.
    pub name: String,
    /// First address, the slide included.
    pub address: u64,
    /// Size in memory.
    pub size: u64,
    /// Where its bytes are in [`Image::bytes`].
    pub offset: u64,
    /// How many of them.
    pub length: u64,
}

impl Segment {
    /// Is it one of those that a program writes to?
    pub fn is_writable(&self) -> bool {
        self.name.starts_with("__DATA")
    }
}

/// An image of a process.
#[derive(Debug, Clone)]
pub struct Image {
    /// The file that a reader may have.
    pub file: PathBuf,
    /// Path that dyld told the process.
    pub path: String,
    /// The file, or the part of it for the processor.
    pub bytes: Vec<u8>,
    /// Where those bytes begin in the file.
    pub offset_in_file: u64,
    /// Address of its header.
    pub base: u64,
    /// What is added to the addresses of the file.
    pub slide: u64,
    /// LC_UUID.
    pub uuid: [u8; 16],
    /// All but `__PAGEZERO`.
    pub segments: Vec<Segment>,
    /// Addresses by name, the slide included.
    pub symbols: BTreeMap<String, u64>,
}

impl Image {
    /// The file `file`, as `path` and with its header at `base`.
    #[track_caller]
    pub fn load(file: &Path, arch: Arch, path: &str, base: u64) -> Self {
        let whole = std::fs::read(file).unwrap();
        let (offset_in_file, bytes) = slice_for(&whole, arch);
        let parsed = object::File::parse(bytes.as_slice()).unwrap();
        let text = parsed.segments().find(|segment| segment.name() == Ok(Some("__TEXT"))).unwrap();
        let slide = base.wrapping_sub(text.address());
        let segments = parsed.segments().filter(|segment| segment.name() != Ok(Some("__PAGEZERO")));
        let segments = segments.map(|segment| {
            let (offset, length) = segment.file_range();
            Segment {
                name: segment.name().unwrap().unwrap().to_owned(),
                address: segment.address().wrapping_add(slide),
                size: segment.size(),
                offset,
                length: length.min(segment.size()),
            }
        });
        let symbols = parsed.symbols().filter(ObjectSymbol::is_definition);
        let symbols = symbols.filter_map(|symbol| {
            Some((symbol.name().ok()?.to_owned(), symbol.address().wrapping_add(slide)))
        });
        Self {
            file: file.to_owned(),
            path: path.to_owned(),
            base,
            slide,
            uuid: parsed.mach_uuid().unwrap().unwrap(),
            segments: segments.collect(),
            symbols: symbols.collect(),
            offset_in_file,
            bytes,
        }
    }

    /// Last part of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    /// Address of the function or variable that C calls `name`.
    #[track_caller]
    pub fn symbol(&self, name: &str) -> u64 {
        let found = self.symbols.get(&format!("_{name}"));
        *found.unwrap_or_else(|| panic!("{} has no symbol {name}", self.path))
    }

    /// The UUID as tools print it.
    pub fn uuid_text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (index, byte) in self.uuid.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            write!(text, "{byte:02X}").unwrap();
        }
        text
    }

    /// Bytes of the file at an address of the process, without what was written there since.
    pub fn original(&self, address: u64, size: u64) -> Option<&[u8]> {
        let segment = self.segments.iter().find(|segment| {
            segment.address <= address && address + size <= segment.address + segment.length
        })?;
        let start = usize::try_from(segment.offset + (address - segment.address)).ok()?;
        self.bytes.get(start..start + usize::try_from(size).ok()?)
    }

    /// The pointers that dyld fills in: their addresses, and the names of what they point to.
    #[track_caller]
    pub fn imports(&self, tools: &Tools) -> Vec<(u64, String)> {
        let mut command = Command::new(&tools.objdump);
        let finished = process::run(command.args(["--macho", "--bind", "--lazy-bind"]).arg(&self.file));
        let finished = finished.expect_success("llvm-objdump");
        let text = String::from_utf8_lossy(&finished.stdout).into_owned();
        let rows = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<&str>| row.len() >= 5);
        let rows = rows.filter(|row| row[0].starts_with("__DATA"));
        rows.map(|row| {
            let address = u64::from_str_radix(row[2].trim_start_matches("0x"), 16).unwrap();
            (address.wrapping_add(self.slide), row[row.len() - 1].to_owned())
        })
        .collect()
    }
}

/// The part of `whole` for `arch`, and where it begins.
fn slice_for(whole: &[u8], arch: Arch) -> (u64, Vec<u8>) {
    let Ok(fat) = MachOFatFile32::parse(whole) else { return (0, whole.to_vec()) };
    let slice = fat.arches().iter().find(|slice| slice.cputype().0 == arch.cpu_type()).unwrap();
    (slice.file_range().0, slice.data(whole).unwrap().to_vec())
}
