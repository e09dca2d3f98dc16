//! The kernel's own shared object, which is in memory only.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};

/// Largest that a vdso may be. Real ones have two to four pages.
const LARGEST: u64 = 1 << 20;

/// The vdso of the running kernel, as it is mapped into this very process.
pub fn read() -> Option<Vec<u8>> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with(" [vdso]"))?;
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let size = u64::from_str_radix(end, 16).ok()?.checked_sub(start).filter(|size| *size <= LARGEST)?;
    let mut memory = File::open("/proc/self/mem").ok()?;
    memory.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    memory.take(size).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use super::super::object_file::ObjectFile;
    use super::*;

    #[test]
    fn the_running_vdso_is_an_elf_file_with_symbols() {
        let elf = ObjectFile::from_bytes(read().unwrap()).unwrap();
        assert!(elf.id().is_some());
        assert!(elf.symbols().iter().any(|symbol| symbol.name.contains("clock_gettime")));
    }
}
