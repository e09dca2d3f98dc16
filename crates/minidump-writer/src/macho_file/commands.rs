//! Mach-O header and load commands (<mach-o/loader.h>), as foreign input.

use super::registers::Processor;
use crate::convert::words::{u32_at, u64_at, until_nul};
use crate::convert::{ConvertError, InputFile};
use minidump_formats::apple_record::CommandThread;

/// Most of each kind that is read.
const MAX_SEGMENTS: usize = 1 << 20;
const MAX_THREADS: usize = 1 << 16;
const MAX_NOTES: usize = 1 << 10;
/// Most commands looked at.
const MAX_COMMANDS: u32 = 1 << 21;
/// Longest command that is read. Registers of a thread have a few KiB.
const MAX_COMMAND: usize = 64 << 10;
/// Bytes read at a time: commands follow each other.
const WINDOW: u64 = 256 << 10;

const HEADER_SIZE: u64 = 32;
/// `MH_CORE`
const TYPE_CORE: u32 = 4;
/// `LC_THREAD`, `LC_UNIXTHREAD`, `LC_SEGMENT_64` and `LC_NOTE`
const THREAD: u32 = 4;
const UNIX_THREAD: u32 = 5;
const SEGMENT: u32 = 0x19;
const NOTE: u32 = 0x31;

/// `LC_SEGMENT_64`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub address: u64,
    pub memory_size: u64,
    pub offset: u64,
    pub file_size: u64,
    /// `VM_PROT_*`: 1 read, 2 write, 4 execute.
    pub protection: u32,
}

/// `LC_NOTE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub owner: Vec<u8>,
    pub offset: u64,
    pub size: u64,
}

/// What header and commands tell.
#[derive(Debug)]
pub struct Commands {
    pub cpu_type: u32,
    pub cpu_subtype: u32,
    pub processor: Processor,
    pub notes: Vec<Note>,
    pub threads: Vec<CommandThread>,
    pub segments: Vec<Segment>,
    /// Number of commands that are missing or were not read.
    pub missing: u64,
}

impl Commands {
    /// Reads header and commands.
    pub fn read(file: &InputFile) -> Result<Self, ConvertError> {
        let header: [u8; 32] =
            file.array(0).ok_or(ConvertError::Damaged { what: "it has no whole Mach-O header" })?;
        let field = |index: usize| u32_at(&header, index * 4).unwrap_or(0);
        if field(3) != TYPE_CORE {
            return Err(ConvertError::NotACore);
        }
        let processor =
            Processor::of(field(1)).ok_or(ConvertError::OtherMachine { what: "another processor" })?;
        let mut commands = Self {
            cpu_type: field(1),
            cpu_subtype: field(2),
            processor,
            notes: Vec::new(),
            threads: Vec::new(),
            segments: Vec::new(),
            missing: 0,
        };
        let end = HEADER_SIZE.saturating_add(field(5).into()).min(file.size());
        commands.walk(&mut Window { file, start: 0, bytes: Vec::new() }, field(4), end);
        Ok(commands)
    }

    /// Takes `count` commands, up to `end` or the first that is not one.
    fn walk(&mut self, window: &mut Window<'_>, count: u32, end: u64) {
        let mut position = HEADER_SIZE;
        for index in 0..count {
            let size = window.get(position, 8).and_then(|head| Some((u32_at(head, 0)?, u32_at(head, 4)?)));
            let next = size.and_then(|(_, size)| position.checked_add(size.into()));
            let next = next.filter(|next| *next <= end && index < MAX_COMMANDS);
            let (Some((kind, size)), Some(next)) = (size.filter(|(_, size)| *size >= 8), next) else {
                self.missing = self.missing.saturating_add((count - index).into());
                return;
            };
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if matches!(kind, THREAD | UNIX_THREAD | SEGMENT | NOTE) {
                let body = Some(size).filter(|size| *size <= MAX_COMMAND);
                let taken = body.and_then(|size| self.take(kind, window.get(position, size)?.get(8..)?));
                self.missing = self.missing.saturating_add(taken.is_none().into());
            }
            position = next;
        }
    }

    /// Takes one command, without its first eight bytes. `None` when it is too short or one too many.
    fn take(&mut self, kind: u32, body: &[u8]) -> Option<()> {
        match kind {
            SEGMENT if self.segments.len() < MAX_SEGMENTS => self.segments.push(segment(body)?),
            NOTE if self.notes.len() < MAX_NOTES => self.notes.push(note(body)?),
            THREAD | UNIX_THREAD if self.threads.len() < MAX_THREADS => {
                self.threads.push(self.processor.thread(body));
            }
            _ => return None,
        }
        Some(())
    }

    /// Contents of the first note of this owner that is at most `most` bytes long.
    pub fn note(&self, file: &InputFile, owner: &[u8], most: u64) -> Option<Vec<u8>> {
        let note = self.notes.iter().find(|note| note.owner == owner && note.size <= most)?;
        let contents = file.bytes(note.offset, note.size);
        (contents.len() as u64 == note.size).then_some(contents)
    }
}

/// Name, address and size, offset and size in the file, highest and initial protection.
fn segment(body: &[u8]) -> Option<Segment> {
    Some(Segment {
        address: u64_at(body, 16)?,
        memory_size: u64_at(body, 24)?,
        offset: u64_at(body, 32)?,
        file_size: u64_at(body, 40)?,
        protection: u32_at(body, 52)?,
    })
}

fn note(body: &[u8]) -> Option<Note> {
    let owner = until_nul(body.get(..16)?).to_vec();
    Some(Note { owner, offset: u64_at(body, 16)?, size: u64_at(body, 24)? })
}

/// Reads what lies close together in few calls.
struct Window<'a> {
    file: &'a InputFile,
    /// Offset in the file of `bytes`.
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    fn get(&mut self, offset: u64, size: usize) -> Option<&[u8]> {
        let find = |window: &Self| {
            let start = usize::try_from(offset.checked_sub(window.start)?).ok()?;
            let end = start.checked_add(size)?;
            (end <= window.bytes.len()).then_some((start, end))
        };
        if find(self).is_none() {
            self.bytes = self.file.bytes(offset, WINDOW);
            self.start = offset;
        }
        let (start, end) = find(self)?;
        self.bytes.get(start..end)
    }
}
