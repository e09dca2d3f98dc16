//! Memory that the writer planned to keep and could not read (docs/minidump-format.md, stream 0x4d440001).

use super::raw_dump::RawDump;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// The stream that tells where the table of holes is.
const HOLE_LOCATOR: u32 = 0x4d44_0001;
/// Offset in it of the table's offset in the file.
const TABLE: usize = 8;

/// Bytes of memory in a little-endian dump, which is also in `file`, that are zeros because they could not be read.
/// `None` when the dump does not tell, or when its end is missing.
pub fn missing_bytes(dump: &RawDump, mut file: &File) -> Option<u64> {
    let locator = dump.get_raw_stream(HOLE_LOCATOR).ok()?;
    let table = u64::from_le_bytes(*locator.get(TABLE..)?.first_chunk()?);
    // The number of holes comes first, then the bytes in them.
    let mut bytes = [0; 8];
    file.seek(SeekFrom::Start(table.checked_add(8)?)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::raw_dump;
    use minidump_synth::{SimpleStream, SynthMinidump};
    use std::io::Write as _;
    use test_assembler::{Endian, Section};

    fn missing(table: u64, tail: &[u8]) -> Option<u64> {
        let section = Section::with_endian(Endian::Little).D32(24).D32(16).D64(table).D32(1).D32(0);
        let stream = SimpleStream { stream_type: HOLE_LOCATOR, section };
        let mut bytes = SynthMinidump::with_endian(Endian::Little).add_stream(stream).finish().unwrap();
        bytes.resize(1000, 0);
        bytes.extend(tail);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        missing_bytes(&raw_dump::open(file.as_file()).unwrap(), file.as_file())
    }

    #[test]
    fn the_table_tells_the_bytes_in_holes() {
        let table = [2u64, 8192, 0x1000, 4096, 0x5000, 4096].map(u64::to_le_bytes).concat();
        assert_eq!(missing(1000, &table), Some(8192));
    }

    #[test]
    fn a_table_beyond_the_end_tells_nothing() {
        assert_eq!(missing(1000, &[0; 15]), None);
        assert_eq!(missing(u64::MAX, &[0; 64]), None);
        assert_eq!(missing(1 << 40, &[0; 64]), None);
    }
}
