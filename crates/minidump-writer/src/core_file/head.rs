//! The beginning of a core that comes as a stream: headers and notes, which the kernel writes before all memory.

use super::elf::{self, Segment};
use crate::convert::words::{u16_at, u64_at};
use std::io::{self, Read, Write};

const HEADER_SIZE: u64 = 64;
const PROGRAM_HEADER_SIZE: u64 = 56;
/// `PN_XNUM`: the number of program headers stands at the end of the core.
const MANY: u64 = 0xffff;
/// Longest beginning. Notes of 65,536 threads stay below.
const LONGEST: u64 = 1 << 30;

/// Copies `core` from its start to the end of its notes. Returns whether `to` has these now; otherwise they lie
/// elsewhere, or `core` ended, and `to` has all that was read.
///
/// # Errors
/// Those of `core` and `to`.
pub fn copy_head(core: &mut dyn Read, to: &mut dyn Write) -> io::Result<bool> {
    let mut copied = Copied { core, to, bytes: Vec::new() };
    if !copied.up_to(HEADER_SIZE)? {
        return Ok(false);
    }
    let header = &copied.bytes;
    let is_elf = header.starts_with(b"\x7fELF\x02\x01");
    let count = u16_at(header, 56).map_or(0, u64::from);
    let (Some(table), Some(56)) = (u64_at(header, 32), u16_at(header, 54)) else { return Ok(false) };
    let table_end = table.saturating_add(count * PROGRAM_HEADER_SIZE);
    if !is_elf || count == MANY || table < HEADER_SIZE || table_end > LONGEST / 64 {
        return Ok(false);
    }
    if !copied.up_to(table_end)? {
        return Ok(false);
    }
    let Some(end) = notes_end(&copied.bytes, table).filter(|end| (table_end..LONGEST).contains(end)) else {
        return Ok(false);
    };
    let Copied { core, to, .. } = copied;
    let rest = end.saturating_sub(table_end);
    Ok(io::copy(&mut core.take(rest), to)? == rest)
}

/// Where the notes end, if that is before all memory.
fn notes_end(head: &[u8], table: u64) -> Option<u64> {
    let headers = head.get(usize::try_from(table).ok()?..)?.as_chunks::<56>().0;
    let segments: Vec<Segment> = headers.iter().filter_map(|header| Segment::parse(header)).collect();
    let of = |kind| segments.iter().filter(move |segment| segment.kind == kind && segment.file_size > 0);
    let end = of(elf::NOTE).map(|notes| notes.offset.saturating_add(notes.file_size)).max()?;
    let memory = of(elf::LOAD).map(|load| load.offset).min()?;
    (end <= memory).then_some(end)
}

/// What was copied, and kept to be looked at.
struct Copied<'a> {
    core: &'a mut dyn Read,
    to: &'a mut dyn Write,
    bytes: Vec<u8>,
}

impl Copied<'_> {
    /// Copies on, until there are `size` bytes in all. Returns whether there are.
    fn up_to(&mut self, size: u64) -> io::Result<bool> {
        let known = self.bytes.len();
        let missing = size.saturating_sub(known as u64);
        let read = (&mut *self.core).take(missing).read_to_end(&mut self.bytes)?;
        self.to.write_all(self.bytes.get(known..).unwrap_or_default())?;
        Ok(read as u64 == missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(kind: u32, offset: u64, size: u64) -> Vec<u8> {
        let words = [u64::from(kind), offset, 0, 0, size, size, 0];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn core(segments: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(segments.len()).unwrap();
        bytes.extend(segments.concat());
        bytes.resize(4096, 0xaa);
        bytes
    }

    fn copied(bytes: &[u8]) -> (bool, usize) {
        let mut to = Vec::new();
        let mut input = bytes;
        let whole = copy_head(&mut input, &mut to).unwrap();
        assert_eq!([to.as_slice(), input].concat(), bytes, "nothing is lost or copied twice");
        (whole, to.len())
    }

    #[test]
    fn a_core_of_the_kernel_is_copied_to_the_end_of_its_notes() {
        let bytes =
            core(&[segment(elf::NOTE, 300, 700), segment(elf::LOAD, 2048, 512), segment(elf::LOAD, 0, 0)]);
        assert_eq!(copied(&bytes), (true, 1000));
        assert_eq!(copied(&bytes[..999]), (false, 999));
        assert_eq!(copied(&bytes[..70]), (false, 70));
        assert_eq!(copied(b""), (false, 0));
    }

    #[test]
    fn notes_behind_memory_and_other_files_are_not_waited_for() {
        let behind = core(&[segment(elf::NOTE, 3000, 700), segment(elf::LOAD, 2048, 512)]);
        assert_eq!(copied(&behind), (false, 64 + 2 * 56));
        assert_eq!(copied(&core(&[segment(elf::LOAD, 2048, 512)])), (false, 120));
        assert_eq!(copied(&[0xff; 4096]), (false, 64));
        let mut many = core(&[segment(elf::NOTE, 300, 700)]);
        many[56..58].fill(0xff);
        assert_eq!(copied(&many), (false, 64));
    }
}
