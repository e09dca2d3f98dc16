//! The memory map of a core, as the text that /proc/PID/maps would have been (proc(5)).
//!
//! Addresses and rights are those of the segments, names and offsets those of `NT_FILE`. gdb leaves mappings of files
//! that are not written to out of the segments; their rights are taken from the program headers in the file's first
//! page, which it keeps. Devices and inodes, which no core tells, are zero.

use super::elf::{self, EXECUTABLE, READABLE, Segment, WRITABLE};
use super::mapped_files::MappedFile;
use crate::convert::words::{u16_at, u64_at};
use crate::snapshot::MemorySource;
use std::io::Write as _;

/// Bytes of a file's start in which its program headers are looked for.
const HEAD: usize = 4096;
/// Most program headers looked at.
const MAX_HEADERS: usize = 64;
const PAGE: u64 = 4096;

/// What tells about the map.
pub struct Evidence<'a> {
    pub segments: &'a [Segment],
    pub files: &'a [MappedFile],
    pub memory: &'a dyn MemorySource,
    /// Where the vdso begins.
    pub vdso: Option<u64>,
    /// An address on the stack that the kernel made.
    pub on_stack: Option<u64>,
    /// Segments that touch and have the same rights were one mapping, which our own encoder cut.
    pub join: bool,
}

/// A mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line<'a> {
    start: u64,
    end: u64,
    rights: u32,
    /// Which file, and from which offset on.
    file: Option<(&'a MappedFile, u64)>,
}

/// Writes the text.
pub fn map_text(evidence: &Evidence<'_>) -> Vec<u8> {
    let mut lines = lines(evidence);
    if evidence.join {
        join(&mut lines);
    }
    let mut text = Vec::with_capacity(lines.len() * 64);
    for line in &lines {
        write_line(&mut text, line, evidence);
    }
    text
}

/// The segments, cut where mappings of files begin and end, and the mappings that no segment shows.
fn lines<'a>(evidence: &Evidence<'a>) -> Vec<Line<'a>> {
    let mut loads: Vec<&Segment> =
        evidence.segments.iter().filter(|segment| segment.kind == elf::LOAD).collect();
    loads.sort_by_key(|segment| segment.address);
    let mut lines = Vec::with_capacity(loads.len() + evidence.files.len());
    let mut files = evidence.files.iter().peekable();
    let mut position = 0;
    for load in loads {
        let Some(end) = load.end() else { continue };
        let start = load.address.max(position);
        if start >= end {
            continue;
        }
        fill(&mut lines, &mut files, position, start, None, evidence);
        fill(&mut lines, &mut files, start, end, Some(load.flags), evidence);
        position = end;
    }
    fill(&mut lines, &mut files, position, u64::MAX, None, evidence);
    lines
}

/// Lines for `start..end`: with `rights` all of it, without only where there are files.
fn fill<'a>(
    lines: &mut Vec<Line<'a>>,
    files: &mut std::iter::Peekable<std::slice::Iter<'a, MappedFile>>,
    start: u64,
    end: u64,
    rights: Option<u32>,
    evidence: &Evidence<'a>,
) {
    let mut position = start;
    while position < end {
        let next = files.peek().copied().filter(|file| file.start < end);
        let Some(file) = next else {
            break;
        };
        if file.end <= position {
            files.next();
            continue;
        }
        let from = file.start.max(position);
        if let Some(rights) = rights.filter(|_| position < from) {
            lines.push(Line { start: position, end: from, rights, file: None });
        }
        let to = file.end.min(end);
        let offset = file.offset.saturating_add(from - file.start);
        let rights = rights.unwrap_or_else(|| rights_of(file, evidence));
        lines.push(Line { start: from, end: to, rights, file: Some((file, offset)) });
        position = to;
    }
    if let Some(rights) = rights.filter(|_| position < end) {
        lines.push(Line { start: position, end, rights, file: None });
    }
}

/// The rights of a mapping that no segment shows, from the ELF headers at the start of the same file.
fn rights_of(file: &MappedFile, evidence: &Evidence<'_>) -> u32 {
    let index = evidence.files.partition_point(|other| other.start <= file.start);
    let before = evidence.files.get(..index).unwrap_or_default().iter().rev().take(MAX_HEADERS);
    let first = before.take_while(|other| other.name == file.name).find(|other| other.offset == 0);
    let mut head = [0; HEAD];
    let read = first.map_or(0, |first| evidence.memory.read(first.start, &mut head).done);
    let head = head.get(..read).unwrap_or_default();
    let is_elf = head.starts_with(b"\x7fELF\x02\x01");
    let table = u64_at(head, 32).and_then(|offset| usize::try_from(offset).ok());
    let count = u16_at(head, 56).unwrap_or(0);
    let headers = head.get(table.unwrap_or(usize::MAX)..).unwrap_or_default().chunks_exact(56);
    let loads = headers.take(usize::from(count).min(MAX_HEADERS)).filter_map(Segment::parse);
    let holds = |load: &Segment| {
        let start = load.offset / PAGE * PAGE;
        let end = load.offset.saturating_add(load.file_size);
        load.kind == elf::LOAD && start <= file.offset && file.offset < end
    };
    let found = loads.rev().find(holds).filter(|_| is_elf);
    found.map_or(READABLE, |load| load.flags)
}

fn join(lines: &mut Vec<Line<'_>>) {
    lines.dedup_by(|next, line| {
        let continues = match (line.file, next.file) {
            (None, None) => true,
            (Some((file, offset)), Some((next_file, next_offset))) => {
                file.name == next_file.name && offset.checked_add(line.end - line.start) == Some(next_offset)
            }
            _ => false,
        };
        let joined = continues && line.end == next.start && line.rights == next.rights;
        if joined {
            line.end = next.end;
        }
        joined
    });
}

fn write_line(text: &mut Vec<u8>, line: &Line<'_>, evidence: &Evidence<'_>) {
    let letter = |right, letter| if line.rights & right == right { letter } else { '-' };
    let (r, w, x) = (letter(READABLE, 'r'), letter(WRITABLE, 'w'), letter(EXECUTABLE, 'x'));
    let offset = line.file.map_or(0, |(_, offset)| offset);
    // Writing into a vector cannot fail.
    let _ = write!(text, "{:x}-{:x} {r}{w}{x}p {offset:08x} 00:00 0 ", line.start, line.end);
    let contains =
        |address: Option<u64>| address.is_some_and(|address| line.start <= address && address < line.end);
    match line.file {
        Some((file, _)) => {
            for byte in &file.name {
                // As the kernel does.
                let escaped = if *byte == b'\n' { b"\\012".as_slice() } else { std::slice::from_ref(byte) };
                text.extend_from_slice(escaped);
            }
        }
        None if contains(evidence.vdso) => text.extend_from_slice(b"[vdso]"),
        None if contains(evidence.on_stack) => text.extend_from_slice(b"[stack]"),
        None => {}
    }
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::BufferSource;

    fn load(address: u64, memory_size: u64, flags: u32) -> Segment {
        Segment { kind: elf::LOAD, flags, offset: 0, address, file_size: 0, memory_size }
    }

    fn file(start: u64, end: u64, offset: u64, name: &[u8]) -> MappedFile {
        MappedFile { start, end, offset, name: name.to_vec() }
    }

    fn text(segments: &[Segment], files: &[MappedFile], memory: &BufferSource, join: bool) -> String {
        let (vdso, on_stack) = (Some(0x7000), Some(0x9010));
        String::from_utf8(map_text(&Evidence { segments, files, memory, vdso, on_stack, join })).unwrap()
    }

    #[test]
    fn segments_are_cut_at_files_and_named() {
        let segments = [
            load(0x9000, 0x1000, 6),
            load(0x1000, 0x3000, 4),
            load(0x7000, 0x1000, 5),
            load(0x8000, 0x800, 0),
        ];
        let files = [file(0x2000, 0x3000, 0x5000, b"/a\nb")];
        let expected = "1000-2000 r--p 00000000 00:00 0 \n\
                        2000-3000 r--p 00005000 00:00 0 /a\\012b\n\
                        3000-4000 r--p 00000000 00:00 0 \n\
                        7000-8000 r-xp 00000000 00:00 0 [vdso]\n\
                        8000-8800 ---p 00000000 00:00 0 \n\
                        9000-a000 rw-p 00000000 00:00 0 [stack]\n";
        assert_eq!(text(&segments, &files, &BufferSource::new(), false), expected);
    }

    #[test]
    fn mappings_without_a_segment_have_the_rights_of_their_program_header() {
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[32] = 64;
        head[56] = 1;
        let words = [0x5_0000_0001_u64, 0x1040, 0x1040, 0, 0x800, 0x800, 0x1000];
        head.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        let mut memory = BufferSource::new();
        assert!(memory.insert(0x1000, head));
        let files = [
            file(0x1000, 0x2000, 0, b"/x"),
            file(0x2000, 0x3000, 0x1000, b"/x"),
            file(0x4000, 0x5000, 0, b"/y"),
        ];
        let expected = "1000-2000 r--p 00000000 00:00 0 /x\n\
                        2000-3000 r-xp 00001000 00:00 0 /x\n\
                        4000-5000 r--p 00000000 00:00 0 /y\n";
        assert_eq!(text(&[load(0x1000, 0x1000, 4)], &files, &memory, false), expected);
    }

    #[test]
    fn pieces_of_one_mapping_are_joined_when_asked() {
        let segments = [load(0x1000, 0x100, 6), load(0x1100, 0xf00, 6), load(0x2000, 0x1000, 6)];
        let files = [file(0x2000, 0x3000, 0, b"/x")];
        let expected = "1000-2000 rw-p 00000000 00:00 0 \n2000-3000 rw-p 00000000 00:00 0 /x\n";
        assert_eq!(text(&segments, &files, &BufferSource::new(), true), expected);
    }
}
