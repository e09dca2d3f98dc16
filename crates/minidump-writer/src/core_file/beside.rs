//! Memory of a process that is still there, in place of what its core lacks.

use super::elf::{self, READABLE, Segment, WRITABLE};
use super::mapped_files::MappedFile;
use crate::convert::{FileMemory, InputFile, Piece};
use crate::snapshot::{Module, Snapshot};
use std::fs::File;

/// A process that is still there beside its core, as a back end sees it.
pub(crate) trait ProcessBeside {
    /// Text of the memory map.
    fn maps(&self) -> &[u8];

    /// The modules, with what their files tell.
    fn modules(&self) -> &[Module];

    /// Its memory: /proc/PID/mem, open.
    fn memory(&self) -> Option<File>;

    /// Puts into `snapshot`, which is that of its core, what the core does not tell. Threads get the ids that they have
    /// here.
    fn fill(self: Box<Self>, snapshot: &mut Snapshot);
}

/// Adds to `memory` what `process`, an open /proc/PID/mem, has of the segments: what the kernel puts into the core, and
/// files that were mapped read-only. What it leaves out for the program's sake (MADV_DONTDUMP) or the user's
/// (`coredump_filter`) stays out, and so do devices.
pub fn add(process: File, segments: &[Segment], files: &[MappedFile], memory: &mut FileMemory) {
    let index = memory.add_file(InputFile::of_unknown_size(process));
    let readable = |load: &&Segment| load.kind == elf::LOAD && load.flags & READABLE != 0;
    let piece = |load: &Segment| {
        let size = if is_read_only_file(load, files) { load.memory_size } else { load.file_size };
        Piece { address: load.address, size, file: index, offset: load.address }
    };
    let pieces = segments.iter().filter(readable).map(piece);
    memory.add(pieces.filter(|piece| piece.size > 0).collect());
}

/// Whether the segment shows a file that was not written to. The kernel makes a segment for each mapping.
fn is_read_only_file(load: &Segment, files: &[MappedFile]) -> bool {
    let found = files.binary_search_by_key(&load.address, |file| file.start).ok();
    let name = found.and_then(|index| files.get(index)).map(|file| file.name.as_slice());
    load.flags & WRITABLE == 0 && name.is_some_and(|name| !name.starts_with(b"/dev/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Input;
    use crate::snapshot::MemorySource as _;
    use std::io::Write as _;

    fn load(address: u64, flags: u32, file_size: u64) -> Segment {
        Segment { kind: elf::LOAD, flags, offset: 0, address, file_size, memory_size: 0x1000 }
    }

    fn mapped(start: u64, name: &str) -> MappedFile {
        MappedFile { start, end: start + 0x1000, offset: 0, name: name.into() }
    }

    #[test]
    fn what_a_core_would_have_and_files_are_read_and_nothing_else() {
        let mut process = tempfile::tempfile().unwrap();
        process.write_all(&vec![7; 0x8000]).unwrap();
        let segments = [
            load(0x1000, READABLE, 0),
            load(0x2000, READABLE | WRITABLE, 0x800),
            load(0x3000, READABLE | WRITABLE, 0),
            load(0x4000, READABLE, 0),
            load(0x5000, READABLE, 0),
            load(0x6000, 0, 0x1000),
        ];
        let files = [mapped(0x1000, "/bin/x"), mapped(0x3000, "/bin/x"), mapped(0x5000, "/dev/mem")];
        let mut memory = FileMemory::new(InputFile::open(Input::Stream(&mut &b""[..])).unwrap());
        add(process, &segments, &files, &mut memory);
        assert_eq!(memory.held().ranges(), [(0x1000, 0x2800)]);
        let mut found = [0; 0x10];
        assert_eq!(memory.read(0x27f8, &mut found).done, 8);
        assert_eq!(found, [7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
