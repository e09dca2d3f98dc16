//! Whether the beginning of a dump that was never finished is of use to a reader.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// The longest header that is looked at: that of an ELF file of 64 bits.
const HEADER: u64 = 64;
/// More streams than any writer makes.
const MOST_STREAMS: u64 = 4096;

/// Whether a reader can make something of the file: it has the header of a minidump and its whole stream directory
/// (`MINIDUMP_HEADER` of minidumpapiset.h), that of an ELF core and its whole table of segments (elf.h), or it is a
/// zstd stream (RFC 8878), of which nothing more can be told from the outside.
pub(super) fn is_readable(file: &mut File) -> bool {
    let Ok(length) = file.seek(SeekFrom::End(0)) else { return false };
    let mut header = Vec::new();
    if file.rewind().is_err() || file.take(HEADER).read_to_end(&mut header).is_err() {
        return false;
    }
    let end = match header.get(..4) {
        Some(b"MDMP") => end_of_directory(&header),
        Some(b"\x7fELF") => end_of_segments(&header),
        Some(b"\x28\xb5\x2f\xfd") => Some(HEADER),
        _ => None,
    };
    end.is_some_and(|end| end <= length)
}

/// `NumberOfStreams` at 8 and `StreamDirectoryRva` at 12, both u32, little-endian; an entry has 12 bytes.
fn end_of_directory(header: &[u8]) -> Option<u64> {
    let (streams, directory) = (number(header, 8, 4)?, number(header, 12, 4)?);
    ((1..=MOST_STREAMS).contains(&streams) && directory >= 32).then_some(directory + 12 * streams)
}

/// `e_phoff` at 32 (u64), `e_phentsize` at 54 and `e_phnum` at 56 (u16) of a file of 64 bits, little-endian.
fn end_of_segments(header: &[u8]) -> Option<u64> {
    if header.get(4..6)? != [2, 1] {
        return None;
    }
    let (table, size, count) = (number(header, 32, 8)?, number(header, 54, 2)?, number(header, 56, 2)?);
    if table < HEADER || count == 0 || size == 0 {
        return None;
    }
    table.checked_add(size * count)
}

/// A little-endian number of `size` bytes.
fn number(header: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = header.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn readable(bytes: &[u8]) -> bool {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        is_readable(&mut file)
    }

    fn minidump(streams: u32, directory: u32, length: usize) -> Vec<u8> {
        let mut bytes = b"MDMP\x93\xa7\0\0".to_vec();
        bytes.extend(streams.to_le_bytes());
        bytes.extend(directory.to_le_bytes());
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn a_minidump_is_readable_from_its_whole_directory_on() {
        assert!(readable(&minidump(3, 32, 68)));
        assert!(!readable(&minidump(3, 32, 67)));
        assert!(!readable(&minidump(0, 32, 68)));
        assert!(!readable(&minidump(3, 0, 68)));
        assert!(!readable(&minidump(u32::MAX, u32::MAX, 500)));
    }

    fn core(table: u64, count: u16, length: usize) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(32, 0);
        bytes.extend(table.to_le_bytes());
        bytes.resize(54, 0);
        bytes.extend(56_u16.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn a_core_is_readable_from_its_whole_segment_table_on() {
        assert!(readable(&core(64, 2, 176)));
        assert!(!readable(&core(64, 2, 175)));
        assert!(!readable(&core(64, 0, 200)));
        assert!(!readable(&core(u64::MAX, 2, 200)));
    }

    #[test]
    fn a_compressed_dump_is_kept_and_anything_else_is_not() {
        let mut zstd = b"\x28\xb5\x2f\xfd".to_vec();
        zstd.resize(64, 1);
        assert!(readable(&zstd));
        assert!(!readable(&zstd[..63]));
        assert!(!readable(b""));
        assert!(!readable(b"MDM"));
        assert!(!readable(&[0; 4096]));
    }
}
