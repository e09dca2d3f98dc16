//! A core as the `object` crate sees it.

use object::LittleEndian;
use object::elf::{FileHeader64, PT_LOAD, PT_NOTE, ProgramHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

const LE: LittleEndian = LittleEndian;

pub struct Core {
    pub bytes: Vec<u8>,
}

/// A note: owner without its NUL, type, contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub owner: Vec<u8>,
    pub kind: u32,
    pub contents: Vec<u8>,
}

/// A `PT_LOAD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub address: u64,
    pub memory_size: u64,
    pub file_size: u64,
    pub flags: u32,
}

impl Core {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub fn header(&self) -> &FileHeader64<LittleEndian> {
        FileHeader64::parse(self.bytes.as_slice()).unwrap()
    }

    pub fn program_headers(&self) -> &[ProgramHeader64<LittleEndian>] {
        self.header().program_headers(LE, self.bytes.as_slice()).unwrap()
    }

    pub fn notes(&self) -> Vec<Note> {
        let mut segments = self.program_headers().iter().filter(|header| header.p_type(LE) == PT_NOTE);
        let segment = segments.next().unwrap();
        assert!(segments.next().is_none(), "one segment of notes");
        let mut iterator = segment.notes(LE, self.bytes.as_slice()).unwrap().unwrap();
        let mut notes = Vec::new();
        while let Some(note) = iterator.next().unwrap() {
            let contents = note.desc().to_vec();
            notes.push(Note { owner: note.name().to_vec(), kind: note.n_type(LE).0, contents });
        }
        notes
    }

    /// Owner and type of all notes, in the order of the file.
    pub fn note_kinds(&self) -> Vec<(String, u32)> {
        let name = |note: Note| (String::from_utf8(note.owner).unwrap(), note.kind);
        self.notes().into_iter().map(name).collect()
    }

    /// The contents of all notes of a type, in the order of the file.
    pub fn all(&self, kind: u32) -> Vec<Vec<u8>> {
        let notes = self.notes().into_iter().filter(|note| note.kind == kind);
        notes.map(|note| note.contents).collect()
    }

    /// The contents of the only note of a type.
    pub fn only(&self, kind: u32) -> Vec<u8> {
        let mut all = self.all(kind);
        assert_eq!(all.len(), 1, "one note {kind:#x}");
        all.remove(0)
    }

    pub fn loads(&self) -> Vec<Load> {
        let loads = self.program_headers().iter().filter(|header| header.p_type(LE) == PT_LOAD);
        let load = |header: &ProgramHeader64<LittleEndian>| Load {
            address: header.p_vaddr(LE),
            memory_size: header.p_memsz(LE),
            file_size: header.p_filesz(LE),
            flags: header.p_flags(LE).0,
        };
        loads.map(load).collect()
    }

    /// The bytes at `address`, as far as one segment holds them.
    pub fn memory(&self, address: u64, size: u64) -> Option<&[u8]> {
        let mut headers = self.program_headers().iter().filter(|header| header.p_type(LE) == PT_LOAD);
        headers.find_map(|header| header.data_range(LE, self.bytes.as_slice(), address, size).unwrap())
    }
}

pub fn word16(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(bytes[offset..offset + 2].try_into().unwrap())
}

pub fn word32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

pub fn word64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}
