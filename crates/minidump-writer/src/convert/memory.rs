//! Memory that lies in files.

use super::{Held, InputFile};
use crate::snapshot::{MemorySource, ReadOutcome};

/// Memory that lies in one piece in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// First address.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
    /// Which file, as an index.
    pub file: usize,
    /// Offset in the file.
    pub offset: u64,
}

impl Piece {
    fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }

    /// The part `start..end` of it.
    fn part(&self, (start, end): (u64, u64)) -> Self {
        let into = start.saturating_sub(self.address);
        let offset = self.offset.saturating_add(into);
        Self { address: start, size: end.saturating_sub(start), offset, ..*self }
    }
}

/// Memory in files, of which the first is the dump.
#[derive(Debug, Default)]
pub(crate) struct FileMemory {
    files: Vec<InputFile>,
    /// By address, not overlapping, each as far as its file goes.
    pieces: Vec<Piece>,
}

impl FileMemory {
    /// Nothing of `file` yet.
    pub fn new(file: InputFile) -> Self {
        Self { files: vec![file], pieces: Vec::new() }
    }

    /// The dump.
    pub fn dump(&self) -> Option<&InputFile> {
        self.files.first()
    }

    /// Adds a file. Returns its index.
    pub fn add_file(&mut self, file: InputFile) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }

    /// Adds pieces, as far as their files go and where there is no memory yet. Of pieces that overlap, the first counts.
    pub fn add(&mut self, mut new: Vec<Piece>) {
        new.sort_by_key(|piece| piece.address);
        let held = self.held();
        let mut floor = 0;
        for piece in new {
            let in_file =
                self.files.get(piece.file).map_or(0, |file| file.size().saturating_sub(piece.offset));
            let end = piece.end().min(piece.address.saturating_add(in_file));
            let start = piece.address.max(floor);
            self.pieces.extend(held.gaps(start, end).map(|gap| piece.part(gap)));
            floor = floor.max(end);
        }
        self.pieces.sort_by_key(|piece| piece.address);
    }

    /// Takes away what a dump's maker could not read.
    pub fn remove(&mut self, holes: &Held) {
        let pieces = std::mem::take(&mut self.pieces);
        let left = |piece: Piece| holes.gaps(piece.address, piece.end()).map(move |gap| piece.part(gap));
        self.pieces = pieces.into_iter().flat_map(left).collect();
    }

    /// Which memory there is.
    pub fn held(&self) -> Held {
        Held::new(self.pieces.iter().map(|piece| (piece.address, piece.end())).collect())
    }

    /// The piece that holds `address`, from there on.
    fn tail(&self, address: u64) -> Option<Piece> {
        let next = self.pieces.partition_point(|piece| piece.address <= address);
        let piece = self.pieces.get(next.checked_sub(1)?)?;
        (address < piece.end()).then(|| piece.part((address, piece.end())))
    }
}

impl MemorySource for FileMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let tail = address.checked_add(done as u64).and_then(|at| self.tail(at));
            let Some((tail, file)) = tail.and_then(|tail| Some((tail, self.files.get(tail.file)?))) else {
                return ReadOutcome::unreadable(done, None);
            };
            let size = usize::try_from(tail.size).unwrap_or(usize::MAX).min(rest.len());
            let read = rest.get_mut(..size).map_or(0, |rest| file.read_at(tail.offset, rest));
            done = done.saturating_add(read);
            if read < size {
                return ReadOutcome::unreadable(done, None);
            }
        }
        ReadOutcome::complete(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Input;
    use crate::snapshot::ReadEnd;

    fn file(bytes: &[u8]) -> InputFile {
        InputFile::open(Input::Stream(&mut &*bytes)).unwrap()
    }

    fn piece(address: u64, size: u64, file: usize, offset: u64) -> Piece {
        Piece { address, size, file, offset }
    }

    fn read(memory: &FileMemory, address: u64, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        let done = memory.read(address, &mut bytes).done;
        bytes.truncate(done);
        bytes
    }

    #[test]
    fn the_dump_counts_more_than_other_files() {
        let mut memory = FileMemory::new(file(b"dump"));
        let other = memory.add_file(file(b"0123456789"));
        memory.add(vec![piece(0x1002, 2, 0, 1)]);
        memory.add(vec![piece(0x1000, 6, other, 0)]);
        assert_eq!(read(&memory, 0x1000, 8), b"01um45");
        assert_eq!(memory.held().ranges(), [(0x1000, 0x1006)]);
    }

    #[test]
    fn pieces_end_with_their_file_and_do_not_overlap() {
        let mut memory = FileMemory::new(file(b"abcdef"));
        memory.add(vec![piece(0x1000, 4, 0, 0), piece(0x1002, 4, 0, 0), piece(0x2000, 0x1000, 0, 4)]);
        assert_eq!(read(&memory, 0x1000, 8), b"abcdcd");
        assert_eq!(memory.held().ranges(), [(0x1000, 0x1006), (0x2000, 0x2002)]);
        let outcome = memory.read(0x2001, &mut [0; 4]);
        assert_eq!((outcome.done, outcome.end), (1, ReadEnd::Unreadable { os_error: None }));
        assert_eq!(read(&memory, u64::MAX, 2), b"");
    }

    #[test]
    fn holes_are_not_held() {
        let mut memory = FileMemory::new(file(b"abcdef"));
        memory.add(vec![piece(0x1000, 6, 0, 0)]);
        memory.remove(&Held::new(vec![(0x1002, 0x1004)]));
        assert_eq!(read(&memory, 0x1000, 6), b"ab");
        assert_eq!(read(&memory, 0x1004, 6), b"ef");
    }
}
