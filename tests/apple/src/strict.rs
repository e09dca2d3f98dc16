//! A strict parser of Mach-O cores that shares no code with the writer: it accepts only what is exactly right.

use crate::Arch;
use serde_json::Value;
use std::collections::BTreeMap;

const SIZE_OF_HEADER: usize = 32;
const LC_THREAD: u32 = 4;

/// Why a file is refused: what is wrong with it.
pub type Refused = String;

/// A segment: memory of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// First address.
    pub address: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// R 1, W 2, X 4.
    pub protection: u32,
}

impl Segment {
    /// Address behind it.
    pub fn end(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }
}

/// An entry of the note "all image infos".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// Path, where it has one.
    pub path: Option<String>,
    /// LC_UUID.
    pub uuid: [u8; 16],
    /// Address of the header.
    pub address: u64,
    /// Segments with their addresses.
    pub segments: Vec<(String, u64)>,
    /// A frame lies in it.
    pub executing: bool,
}

/// A core.
#[derive(Debug, Clone)]
pub struct Core {
    /// `cputype` and `cpusubtype`.
    pub cpu: (u32, u32),
    /// Payloads by owner.
    pub notes: BTreeMap<String, Vec<u8>>,
    /// Where those lie in the file.
    pub places: BTreeMap<String, (u64, u64)>,
    /// Words by flavor, for each thread in the order of the file.
    pub threads: Vec<Vec<(u32, Vec<u32>)>>,
    /// By ascending address, without overlap.
    pub segments: Vec<Segment>,
    /// Entries of "all image infos".
    pub images: Vec<ImageInfo>,
}

impl Core {
    /// Reads a core.
    ///
    /// # Errors
    /// The first thing that is not as it has to be.
    pub fn parse(file: &[u8]) -> Result<Self, Refused> {
        let header: Vec<u32> = (0..8).map(|index| u32_at(file, 4 * index)).collect::<Result<_, _>>()?;
        expect(header[0] == 0xfeed_facf, "no 64-bit Mach-O file")?;
        expect(header[3] == 4, "no core")?;
        expect(header[6] == 0 && header[7] == 0, "flags in the header")?;
        let mut core = Self {
            cpu: (header[1], header[2]),
            notes: BTreeMap::new(),
            places: BTreeMap::new(),
            threads: Vec::new(),
            segments: Vec::new(),
            images: Vec::new(),
        };
        // File ranges that are taken; nothing may lie in two of them.
        let commands_end = SIZE_OF_HEADER + size(header[5])?;
        let mut taken = vec![(0, commands_end as u64)];
        let mut at = SIZE_OF_HEADER;
        for _ in 0..header[4] {
            let length = size(u32_at(file, at + 4)?)?;
            // Register sets have sizes of their own: the kernel's threads are multiples of 4 only, too.
            let alignment = if u32_at(file, at)? == LC_THREAD { 4 } else { 8 };
            let fits = length >= 8 && at + length <= commands_end;
            expect(fits && length % alignment == 0, "size of a command")?;
            core.command(file, &file[at..at + length], &mut taken)?;
            at += length;
        }
        expect(at == commands_end, "sizeofcmds is not the sum of the commands")?;
        taken.sort_unstable();
        for pair in taken.windows(2) {
            expect(pair[0].1 <= pair[1].0, "payloads overlap in the file")?;
        }
        core.segments.sort_by_key(|segment| segment.address);
        for pair in core.segments.windows(2) {
            expect(pair[0].end() <= pair[1].address, "segments overlap in memory")?;
        }
        core.images = core.notes.get("all image infos").map_or(Ok(Vec::new()), |_| images(file, &taken))?;
        Ok(core)
    }

    fn command(&mut self, file: &[u8], command: &[u8], taken: &mut Vec<(u64, u64)>) -> Result<(), Refused> {
        let kind = u32_at(command, 0)?;
        match kind {
            0x31 => {
                expect(command.len() == 40, "size of LC_NOTE")?;
                let (offset, length) = (u64_at(command, 24)?, u64_at(command, 32)?);
                expect(offset % 16 == 0, "alignment of a note")?;
                let payload = range(file, offset, length)?.to_vec();
                let owner = text(&command[8..24])?;
                self.places.insert(owner.clone(), (offset, offset + length));
                expect(self.notes.insert(owner, payload).is_none(), "two notes of one owner")?;
                taken.push((offset, offset + length));
            }
            LC_THREAD => self.threads.push(flavors(&command[8..])?),
            0x19 => {
                expect(command.len() == 72, "size of LC_SEGMENT_64")?;
                expect(command[8..24] == [0; 16], "name of a segment")?;
                let (address, length) = (u64_at(command, 24)?, u64_at(command, 32)?);
                let (offset, in_file) = (u64_at(command, 40)?, u64_at(command, 48)?);
                expect(length == in_file && length > 0, "sizes of a segment")?;
                expect(address.checked_add(length).is_some(), "end of a segment")?;
                let protection = u32_at(command, 60)?;
                expect(u32_at(command, 56)? == protection, "protections of a segment")?;
                expect(u64_at(command, 64)? == 0, "sections or flags of a segment")?;
                let bytes = range(file, offset, length)?.to_vec();
                self.segments.push(Segment { address, bytes, protection });
                taken.push((offset, offset + length));
            }
            _ => return Err(format!("load command {kind:#x}")),
        }
        Ok(())
    }

    /// `size` bytes of the process from `address` on, when they are all in one segment or in abutting ones.
    pub fn memory(&self, address: u64, size: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for segment in &self.segments {
            let at = address + bytes.len() as u64;
            if segment.address <= at && at < segment.end() {
                bytes.extend_from_slice(&segment.bytes[usize::try_from(at - segment.address).ok()?..]);
            }
        }
        let size = usize::try_from(size).ok()?;
        bytes.truncate(size);
        (bytes.len() == size).then_some(bytes)
    }

    /// The note of this owner as JSON.
    #[track_caller]
    pub fn json(&self, owner: &str) -> Value {
        serde_json::from_slice(&self.notes[owner]).unwrap()
    }

    /// Words of the thread at `index` in `flavor`.
    pub fn words(&self, index: usize, flavor: u32) -> Option<&[u32]> {
        let found = self.threads.get(index)?.iter().find(|(kind, _)| *kind == flavor)?;
        Some(&found.1)
    }

    /// Instruction pointer and stack pointer of the thread at `index`.
    #[track_caller]
    pub fn pc_and_sp(&self, index: usize) -> (u64, u64) {
        let is_arm = self.cpu.0 == Arch::Arm64.cpu_type();
        let words = self.words(index, if is_arm { 6 } else { 4 }).unwrap();
        let register = |number: usize| u64::from(words[2 * number]) | u64::from(words[2 * number + 1]) << 32;
        if is_arm { (register(32), register(31)) } else { (register(16), register(7)) }
    }
}

/// `{flavor, count, words}` until the end.
fn flavors(mut rest: &[u8]) -> Result<Vec<(u32, Vec<u32>)>, Refused> {
    let mut flavors = Vec::new();
    while !rest.is_empty() {
        let (flavor, count) = (u32_at(rest, 0)?, size(u32_at(rest, 4)?)?);
        let words = (0..count).map(|index| u32_at(rest, 8 + 4 * index)).collect::<Result<_, _>>()?;
        flavors.push((flavor, words));
        rest = &rest[8 + 4 * count..];
    }
    Ok(flavors)
}

/// The entries of "all image infos", whose offsets count from the start of the file.
fn images(file: &[u8], taken: &[(u64, u64)]) -> Result<Vec<ImageInfo>, Refused> {
    // The note lies where its own header says that the entries are: right before them.
    let note = taken.iter().find(|(start, end)| {
        let entries = usize::try_from(*start).ok().and_then(|start| u64_at(file, start + 8).ok());
        *start >= 32
            && end - start >= 24
            && entries == Some(start + 24)
            && u32_at(file, usize::try_from(*start).unwrap_or(0)) == Ok(1)
    });
    let (start, end) = *note.ok_or("entries of \"all image infos\" are not behind its header")?;
    let inside =
        |offset: u64| expect(start <= offset && offset < end, "\"all image infos\" points out of itself");
    let at = usize::try_from(start).map_err(|_| "offset")?;
    expect(u32_at(file, at + 16)? == 48, "size of an entry of \"all image infos\"")?;
    let mut images = Vec::new();
    for index in 0..size(u32_at(file, at + 4)?)? {
        let entry = at + 24 + 48 * index;
        let (path, segments) = (u64_at(file, entry)?, u64_at(file, entry + 32)?);
        let count = u64::from(u32_at(file, entry + 40)?);
        let path = if path == u64::MAX {
            None
        } else {
            inside(path)?;
            Some(text(range(file, path, end - path)?)?)
        };
        let mut found = Vec::new();
        for number in 0..count {
            inside(segments + 32 * number)?;
            let segment = range(file, segments + 32 * number, 32)?;
            found.push((text(&segment[..16])?, u64_at(segment, 16)?));
        }
        images.push(ImageInfo {
            path,
            uuid: file[entry + 8..entry + 24].try_into().unwrap(),
            address: u64_at(file, entry + 24)?,
            segments: found,
            executing: u32_at(file, entry + 44)? == 1,
        });
    }
    Ok(images)
}

fn expect(holds: bool, what: &str) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn size(value: u32) -> Result<usize, Refused> {
    usize::try_from(value).map_err(|_| "size".to_owned())
}

fn range(file: &[u8], offset: u64, length: u64) -> Result<&[u8], Refused> {
    let start = usize::try_from(offset).map_err(|_| "offset")?;
    let length = usize::try_from(length).map_err(|_| "length")?;
    start
        .checked_add(length)
        .and_then(|end| file.get(start..end))
        .ok_or_else(|| "behind the end of the file".into())
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Refused> {
    Ok(u32::from_le_bytes(range(bytes, at as u64, 4)?.try_into().unwrap()))
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Refused> {
    Ok(u64::from_le_bytes(range(bytes, at as u64, 8)?.try_into().unwrap()))
}

/// Text up to a zero or the end.
fn text(bytes: &[u8]) -> Result<String, Refused> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes[..end].to_vec()).map_err(|_| "text that is not UTF-8".into())
}
