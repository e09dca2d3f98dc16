//! Walks the notes of a core.

use super::elf::Segment;
use crate::convert::InputFile;
use crate::convert::words::u32_at;

/// Most notes looked at.
const MAX_NOTES: usize = 1 << 22;
/// Bytes read at a time: notes of a thread follow each other closely.
const WINDOW: u64 = 64 << 10;
/// Longest owner's name looked at.
const MAX_OWNER: usize = 32;
const HEADER_SIZE: u64 = 12;

/// Where a note lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Owner, without the terminating NUL.
    pub owner: Vec<u8>,
    pub kind: u32,
    /// Offset in the file of the contents.
    pub offset: u64,
    /// Their size in bytes.
    pub size: u64,
}

/// The notes of one `PT_NOTE` segment, up to the first that does not lie in it.
pub struct Notes<'a> {
    file: &'a InputFile,
    position: u64,
    end: u64,
    /// Bytes of the file from `window_start` on.
    window: Vec<u8>,
    window_start: u64,
    left: usize,
}

impl<'a> Notes<'a> {
    pub fn new(file: &'a InputFile, segment: &Segment) -> Self {
        let end = segment.offset.saturating_add(segment.file_size).min(file.size());
        Self { file, position: segment.offset, end, window: Vec::new(), window_start: 0, left: MAX_NOTES }
    }

    /// Whether the segment goes on behind what was read.
    pub fn is_cut(&self) -> bool {
        self.position < self.end
    }

    /// `size` bytes at `offset`, through the window.
    fn peek(&mut self, offset: u64, size: usize) -> Option<&[u8]> {
        let have = |notes: &Self| {
            let start = usize::try_from(offset.checked_sub(notes.window_start)?).ok()?;
            let end = start.checked_add(size)?;
            (end <= notes.window.len()).then_some((start, end))
        };
        if have(self).is_none() {
            self.window = self.file.bytes(offset, WINDOW);
            self.window_start = offset;
        }
        let (start, end) = have(self)?;
        self.window.get(start..end)
    }

    fn read(&mut self) -> Option<Note> {
        let start = self.position;
        let header = self.peek(start, 12)?;
        let (owner_size, size, kind) = (u32_at(header, 0)?, u32_at(header, 4)?, u32_at(header, 8)?);
        let owner_at = start.checked_add(HEADER_SIZE)?;
        let offset = owner_at.checked_add(padded(owner_size))?;
        let end = offset.checked_add(size.into())?;
        let next = offset.checked_add(padded(size))?;
        if end > self.end {
            return None;
        }
        let owner_size = usize::try_from(owner_size).unwrap_or(usize::MAX).min(MAX_OWNER);
        let owner = self.peek(owner_at, owner_size)?;
        let owner = owner.strip_suffix(b"\0").unwrap_or(owner).to_vec();
        self.position = next.min(self.end);
        Some(Note { owner, kind, offset, size: size.into() })
    }
}

impl Iterator for Notes<'_> {
    type Item = Note;

    fn next(&mut self) -> Option<Note> {
        self.left = self.left.checked_sub(1)?;
        if self.position >= self.end { None } else { self.read() }
    }
}

fn padded(size: u32) -> u64 {
    u64::from(size).next_multiple_of(4)
}
