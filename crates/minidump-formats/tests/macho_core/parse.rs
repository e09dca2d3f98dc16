//! A Mach-O core, read by the letter of <mach-o/loader.h>. Whatever is not as it should be is a failed test: commands that
//! do not fill the table, parts that overlap or lie outside the file, bytes between parts that are not zero.

use minidump_formats::apple_record::AppleRecord;

/// The record in `bytes`.
pub fn decode(bytes: &[u8]) -> Option<AppleRecord> {
    AppleRecord::decode(bytes, |json| serde_json::from_slice(json).ok())
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub owner: String,
    pub offset: usize,
    pub contents: Vec<u8>,
}

/// A segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub address: u64,
    pub size: u64,
    pub offset: u64,
    pub protection: u32,
}

/// A set of registers: flavor, and the registers.
pub type Registers = (u32, Vec<u8>);

#[derive(Debug)]
pub struct Core {
    pub bytes: Vec<u8>,
    pub cpu_type: u32,
    pub cpu_subtype: u32,
    pub notes: Vec<Note>,
    pub threads: Vec<Vec<Registers>>,
    pub segments: Vec<Segment>,
    pub commands_end: usize,
}

pub fn word32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

pub fn word64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap()
}

impl Core {
    /// Parses a whole core.
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut core = Self::head(bytes);
        let notes = std::mem::take(&mut core.notes);
        let with_contents = |note: Note| {
            let size = note.contents.capacity();
            let contents = core.bytes[note.offset..note.offset + size].to_vec();
            Note { contents, ..note }
        };
        core.notes = notes.into_iter().map(with_contents).collect();
        core.check_parts();
        core
    }

    /// Parses header and commands; the contents of notes are left empty, with room for as many bytes as they have.
    pub fn head(bytes: Vec<u8>) -> Self {
        let header: Vec<u32> = (0..8).map(|field| word32(&bytes, field * 4)).collect();
        assert_eq!((header[0], header[3]), (0xfeed_facf, 4), "MH_MAGIC_64, MH_CORE");
        assert_eq!((header[6], header[7]), (0, 0), "flags, reserved");
        let commands_end = 32 + usize::try_from(header[5]).unwrap();
        let mut core = Self {
            bytes,
            cpu_type: header[1],
            cpu_subtype: header[2],
            notes: vec![],
            threads: vec![],
            segments: vec![],
            commands_end,
        };
        let mut position = 32;
        let mut latest = 0;
        for _ in 0..header[4] {
            let kind = word32(&core.bytes, position);
            let size = usize::try_from(word32(&core.bytes, position + 4)).unwrap();
            assert!(size >= 8 && size % 4 == 0 && position + size <= commands_end);
            let command = core.bytes[position + 8..position + size].to_vec();
            let rank = core.command(kind, &command);
            assert!(rank >= latest, "notes come first, then threads, then segments");
            latest = rank;
            position += size;
        }
        assert_eq!(position, commands_end, "the commands fill their table");
        core
    }

    fn command(&mut self, kind: u32, body: &[u8]) -> u32 {
        match kind {
            0x31 => {
                assert_eq!(body.len(), 32);
                let owner = body[..16].split(|byte| *byte == 0).next().unwrap();
                assert!(body[owner.len()..16].iter().all(|byte| *byte == 0));
                let owner = String::from_utf8(owner.to_vec()).unwrap();
                let (offset, size) = (index(word64(body, 16)), index(word64(body, 24)));
                self.notes.push(Note { owner, offset, contents: Vec::with_capacity(size) });
                0
            }
            4 => {
                self.threads.push(registers(body));
                1
            }
            0x19 => {
                self.segments.push(segment(body));
                2
            }
            other => unreachable!("command {other:#x}"),
        }
    }

    /// No part overlaps another, and what lies between is zero.
    fn check_parts(&self) {
        let mut parts = vec![(0, self.commands_end)];
        for note in &self.notes {
            assert_eq!(note.offset % 16, 0, "{}", note.owner);
            parts.push((note.offset, note.offset + note.contents.len()));
        }
        for segment in &self.segments {
            let start = index(segment.offset);
            parts.push((start, start + index(segment.size)));
        }
        if let Some((offset, capacity)) = self.hole_table() {
            assert_eq!(offset % 8, 0);
            parts.push((offset, offset + 16 + 16 * capacity));
        }
        parts.sort_unstable();
        assert_eq!(parts.last().unwrap().1, self.bytes.len(), "the last part ends the file");
        for pair in parts.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{pair:x?}");
            assert!(self.bytes[pair[0].1..pair[1].0].iter().all(|byte| *byte == 0));
        }
        for pair in self.segments.windows(2) {
            let end = pair[0].address.checked_add(pair[0].size).unwrap();
            assert!(end <= pair[1].address, "segments lie by address and do not overlap");
        }
    }

    pub fn note(&self, owner: &str) -> Option<&Note> {
        let mut notes = self.notes.iter().filter(|note| note.owner == owner);
        let note = notes.next();
        assert!(notes.next().is_none(), "one note {owner}");
        note
    }

    /// The note of our own.
    pub fn own(&self) -> AppleRecord {
        decode(&self.note("minidump-writer").unwrap().contents).unwrap()
    }

    /// Offset and capacity of the table of holes.
    pub fn hole_table(&self) -> Option<(usize, usize)> {
        self.own().hole_table().map(|table| (index(table.offset), table.capacity as usize))
    }

    /// The holes: number, bytes, and those that are listed.
    pub fn holes(&self) -> (u64, u64, Vec<(u64, u64)>) {
        let (offset, capacity) = self.hole_table().unwrap();
        let entry = |index: usize| {
            let at = offset + 16 + 16 * index;
            (word64(&self.bytes, at), word64(&self.bytes, at + 8))
        };
        let listed = (0..capacity).map(entry).filter(|(_, size)| *size > 0).collect();
        (word64(&self.bytes, offset), word64(&self.bytes, offset + 8), listed)
    }

    /// The bytes at `address`, as far as one segment holds them.
    pub fn memory(&self, address: u64, size: u64) -> Option<&[u8]> {
        let end = address.checked_add(size)?;
        let holds = |segment: &&Segment| segment.address <= address && end <= segment.address + segment.size;
        let segment = self.segments.iter().find(holds)?;
        let start = index(segment.offset + (address - segment.address));
        Some(&self.bytes[start..start + index(size)])
    }
}

fn registers(body: &[u8]) -> Vec<Registers> {
    let mut sets = vec![];
    let mut position = 0;
    while position < body.len() {
        let flavor = word32(body, position);
        let size = 4 * usize::try_from(word32(body, position + 4)).unwrap();
        sets.push((flavor, body[position + 8..position + 8 + size].to_vec()));
        position += 8 + size;
    }
    assert_eq!(position, body.len());
    sets
}

fn segment(body: &[u8]) -> Segment {
    assert_eq!(body.len(), 64);
    assert_eq!(body[..16], [0; 16], "no name");
    let words: Vec<u64> = (0..4).map(|field| word64(body, 16 + 8 * field)).collect();
    assert!(words[1] > 0 && words[1] == words[3], "all of the memory is in the file");
    let protection = word32(body, 48);
    assert_eq!(word32(body, 52), protection, "highest and initial protection");
    assert_eq!((word32(body, 56), word32(body, 60)), (0, 0), "no sections, no flags");
    Segment { address: words[0], size: words[1], offset: words[2], protection }
}
