//! What the first note of a core tells: the thread that crashed, and the signal.
//!
//! The kernel writes `struct elf_prstatus` (<linux/elfcore.h>) of that thread before all other notes.

use std::io::{Read, Seek, SeekFrom};

/// `PT_NOTE`, `NT_PRSTATUS` of <elf.h>.
const NOTE: u32 = 4;
const PRSTATUS: u32 = 1;
/// Sizes of a program header, of a note's header, and of the name CORE with its padding.
const PROGRAM_HEADER: usize = 56;
const NOTE_HEADER: usize = 12;
const NAME: u32 = 8;
/// Offsets in the ELF header: of the program headers, and their number.
const TABLE: usize = 32;
const COUNT: usize = 56;
/// Offsets in the status: the signal (16 bits), and the thread.
const SIGNAL: usize = 12;
const THREAD: usize = 32;
/// Most program headers looked at; the kernel puts that of the notes first.
const MOST: usize = 64;

/// What it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The thread, by the number that its own namespace gives it.
    pub inner_tid: u32,
    /// The signal.
    pub signal: i32,
}

/// Reads it; `None` where the core is not as the kernel writes it.
pub fn read(core: &mut (impl Read + Seek)) -> Option<Told> {
    let header: [u8; 64] = at(core, 0)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let mut table = u64::from_le_bytes(array(&header, TABLE)?);
    let count = usize::from(u16::from_le_bytes(array(&header, COUNT)?));
    for _ in 0..count.min(MOST) {
        let program_header: [u8; PROGRAM_HEADER] = at(core, table)?;
        if u32::from_le_bytes(array(&program_header, 0)?) == NOTE {
            return status(core, u64::from_le_bytes(array(&program_header, 8)?));
        }
        table = table.checked_add(u64::try_from(PROGRAM_HEADER).ok()?)?;
    }
    None
}

fn status(core: &mut (impl Read + Seek), note: u64) -> Option<Told> {
    let header: [u8; NOTE_HEADER] = at(core, note)?;
    let name_size = u32::from_le_bytes(array(&header, 0)?).checked_next_multiple_of(4)?;
    if u32::from_le_bytes(array(&header, 8)?) != PRSTATUS || name_size != NAME {
        return None;
    }
    let start = note.checked_add(u64::try_from(NOTE_HEADER).ok()?)?.checked_add(NAME.into())?;
    let status: [u8; THREAD + 4] = at(core, start)?;
    Some(Told {
        inner_tid: u32::from_le_bytes(array(&status, THREAD)?),
        signal: i16::from_le_bytes(array(&status, SIGNAL)?).into(),
    })
}

fn at<const N: usize>(core: &mut (impl Read + Seek), offset: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    core.seek(SeekFrom::Start(offset)).ok()?;
    core.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// The beginning of a core: one note of `kind` behind one program header of `segment`.
    fn core(segment: u32, kind: u32) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[TABLE] = 64;
        bytes[COUNT] = 1;
        let mut program_header = [0; PROGRAM_HEADER];
        program_header[..4].copy_from_slice(&segment.to_le_bytes());
        program_header[8] = 120;
        bytes.extend(program_header);
        bytes.extend([5_u32, 336, kind].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(b"CORE\0\0\0\0");
        let mut status = vec![0; 336];
        status[SIGNAL] = 11;
        status[THREAD..THREAD + 4].copy_from_slice(&4242_u32.to_le_bytes());
        bytes.extend(status);
        bytes
    }

    #[test]
    fn thread_and_signal_are_those_of_the_first_note() {
        let told = read(&mut Cursor::new(core(NOTE, PRSTATUS)));
        assert_eq!(told, Some(Told { inner_tid: 4242, signal: 11 }));
    }

    #[test]
    fn what_is_cut_or_something_else_tells_nothing() {
        assert_eq!(read(&mut Cursor::new(core(NOTE, 3))), None);
        assert_eq!(read(&mut Cursor::new(core(1, PRSTATUS))), None);
        let whole = core(NOTE, PRSTATUS);
        for end in 0..64 + 56 + 12 + 8 + 36 {
            assert_eq!(read(&mut Cursor::new(&whole[..end])), None, "{end} bytes");
        }
        for byte in 0..64 + 56 + 20 {
            let mut damaged = whole.clone();
            damaged[byte] = 0xff;
            let _ = read(&mut Cursor::new(damaged));
        }
    }
}
