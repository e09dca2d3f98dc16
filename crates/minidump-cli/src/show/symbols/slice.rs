//! The parts of a universal file, each a Mach-O file for one processor.

use object::read::ReadCache;
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{FileKind, ReadRef};
use std::io::{self, Read, Seek, SeekFrom};

/// Most parts looked at. Real files have two or three.
const MOST_SLICES: usize = 16;

/// Offset and size in bytes of each part of a universal file; none of any other file.
pub fn slices(file: impl Read + Seek) -> Vec<(u64, u64)> {
    let data = ReadCache::new(file);
    slices_of(&data).unwrap_or_default()
}

fn slices_of<'data>(data: impl ReadRef<'data>) -> Option<Vec<(u64, u64)>> {
    let ranges: Vec<(u64, u64)> = match FileKind::parse(data).ok()? {
        FileKind::MachOFat32 => {
            let file = MachOFatFile32::parse(data).ok()?;
            file.arches().iter().take(MOST_SLICES).map(FatArch::file_range).collect()
        }
        FileKind::MachOFat64 => {
            let file = MachOFatFile64::parse(data).ok()?;
            file.arches().iter().take(MOST_SLICES).map(FatArch::file_range).collect()
        }
        _ => return None,
    };
    Some(ranges)
}

/// A part of a file, as if it were a file of its own.
pub struct Slice<F> {
    file: F,
    start: u64,
    size: u64,
    /// Relative to `start`, at most `size`.
    position: u64,
}

impl<F> Slice<F> {
    /// The `size` bytes from `start` on, or as many of them as 64 bits reach.
    pub fn new(file: F, (start, size): (u64, u64)) -> Self {
        Self { file, start, size: size.min(u64::MAX - start), position: 0 }
    }
}

impl<F: Read + Seek> Read for Slice<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.start.saturating_add(self.position)))?;
        let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(buffer.get_mut(..left).unwrap_or_default())?;
        self.position = self.position.saturating_add(read as u64).min(self.size);
        Ok(read)
    }
}

impl<F: Seek> Seek for Slice<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        self.position = target.min(self.size);
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A universal file of 32-bit offsets, whose header is big-endian, with parts of these offsets and sizes.
    fn universal(parts: &[(u32, u32)]) -> Vec<u8> {
        let mut words = vec![0xcafe_babe, u32::try_from(parts.len()).unwrap()];
        for (offset, size) in parts {
            words.extend([0x0100_000c, 0, *offset, *size, 14]);
        }
        words.into_iter().flat_map(u32::to_be_bytes).chain([7; 4096]).collect()
    }

    #[test]
    fn parts_are_found_and_bounded() {
        assert_eq!(slices(Cursor::new(universal(&[(0x100, 8), (0x200, 16)]))), [(0x100, 8), (0x200, 16)]);
        assert_eq!(slices(Cursor::new(universal(&[(0, 1); 100]))).len(), MOST_SLICES);
        for other in [&b"\x7fELF"[..], b"", &[0xca, 0xfe, 0xba, 0xbe, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(slices(Cursor::new(other)), []);
        }
    }

    #[test]
    fn a_part_reads_as_a_file_of_its_own() {
        let mut slice = Slice::new(Cursor::new(b"0123456789"), (3, 4));
        let mut text = String::new();
        slice.read_to_string(&mut text).unwrap();
        assert_eq!(text, "3456");
        assert_eq!(slice.seek(SeekFrom::End(-1)).unwrap(), 3);
        assert_eq!(slice.seek(SeekFrom::Current(-2)).unwrap(), 1);
        let mut two = [0; 2];
        slice.read_exact(&mut two).unwrap();
        assert_eq!(&two, b"45");
        assert_eq!(slice.seek(SeekFrom::Start(99)).unwrap(), 4);
        assert!(slice.seek(SeekFrom::Current(-9)).is_err());
        assert_eq!(Slice::new(Cursor::new(b""), (u64::MAX, u64::MAX)).read(&mut two).unwrap(), 0);
    }
}
