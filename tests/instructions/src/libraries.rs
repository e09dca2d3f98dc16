//! A process with many libraries: its memory map, its memory, its auxiliary vector.

use crate::image::{DATA, Image, PIECE, PROGRAM_HEADERS};
use crate::maps_text::line;
use minidump_snapshot::BufferSource;

/// Where the program lies, and from there on its libraries.
const BASE: u64 = 0x7f12_3400_0000;
/// From one library to the next.
const STEP: u64 = 0x10_0000;
/// Where the loader's structures lie.
const R_DEBUG: u64 = 0x7fee_0000_0000;
/// Where the loader's list and its names lie, an entry behind the other as an allocator places them.
const LIST: u64 = R_DEBUG + 0x1000;
const ENTRY: u64 = 0x590;
const NAME_IN_ENTRY: u64 = 0x540;

/// What the reader of modules gets to see.
#[derive(Debug, Default)]
pub struct Libraries {
    /// Text of the memory map.
    pub maps: Vec<u8>,
    /// Contents of /proc/PID/auxv.
    pub auxv: Vec<u8>,
    /// The memory.
    pub memory: BufferSource,
}

impl Libraries {
    /// A program and libraries, `count` in all, which the loader lists.
    pub fn new(count: usize) -> Result<Self, std::fmt::Error> {
        let mut all = Self::default();
        let mut maps = String::new();
        let mut list = Vec::new();
        for index in (0..count).zip(0u64..).map(|(_, index)| index) {
            let base = BASE + index * STEP;
            let soname = format!("libpart{index}.so.2");
            let path = format!("/opt/product/lib/libpart{index}.so.2.{index}");
            let image = Image { bias: base, soname: &soname, number: index, debug: R_DEBUG };
            all.memory.insert(base, image.head());
            all.memory.insert(base + DATA, image.dynamic());
            for (piece, rights) in (0..).zip(["r--p", "r-xp", "r--p", "rw-p"]) {
                let (offset, file) = (piece * PIECE, format!("fe:01 {}", 700_000 + index));
                line(&mut maps, base + offset, rights, offset, &file, &path)?;
            }
            line(&mut maps, base + DATA + PIECE, "rw-p", 0, "00:00 0", "")?;
            let is_last = index + 1 == count as u64;
            let here = LIST + index * ENTRY;
            let next = if is_last { 0 } else { here + ENTRY };
            let mut entry: Vec<u8> = [base, here + NAME_IN_ENTRY, base + DATA, next, 0]
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .collect();
            entry.resize(usize::try_from(NAME_IN_ENTRY).unwrap_or_default(), 0);
            entry.extend(path.as_bytes());
            entry.resize(usize::try_from(ENTRY).unwrap_or_default(), 0);
            list.extend(entry);
        }
        all.memory.insert(LIST, list);
        let debug = [1, LIST, 0x1000, 0, BASE];
        all.memory.insert(R_DEBUG, debug.iter().flat_map(|word| word.to_le_bytes()).collect());
        all.maps = maps.into_bytes();
        // AT_PHDR, AT_PHENT, AT_PHNUM, AT_ENTRY, AT_NULL (<elf.h>).
        let auxv = [3, BASE + 64, 4, 56, 5, PROGRAM_HEADERS, 9, BASE + PIECE, 0, 0];
        all.auxv = auxv.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
        Ok(all)
    }
}
