//! The memory map as the kernel prints it: /proc/PID/maps (proc(5), `fs/proc/task_mmu.c` `show_map_vma`).
//!
//! Each line is `start-end perms offset major:minor inode`, then blanks and a name. All numbers but the inode are
//! hexadecimal. The text is parsed in one pass over its bytes and stays the owner of the names: a [`Mapping`] only
//! points into it, so nothing is allocated per line.

use minidump_snapshot::{Protection, Region, RegionKind};
use numbers::{decimal, hexadecimal};
use std::borrow::Cow;
use std::io::BufRead;
use std::ops::Range;

mod numbers;

/// What the kernel appends to the path of a file whose name is gone (`fs/d_path.c`).
const DELETED_SUFFIX: &[u8] = b" (deleted)";

/// How the kernel writes a newline in a path (`seq_path` with "\n" as the characters to escape).
const ESCAPED_NEWLINE: &[u8] = b"\\012";

/// Bytes of a short line: that of a mapping without a name at a usual address. Room that is not used takes no memory, and
/// moving what was parsed to where there is more would.
const SHORT_LINE: usize = 48;

/// One line of the memory map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address behind the mapping; always above `start`.
    pub end: u64,
    /// Access rights.
    pub protection: Protection,
    /// Mapped shared.
    pub shared: bool,
    /// Offset into the file, in bytes.
    pub offset: u64,
    /// Major and minor number of the file system's device; (0, 0) without a file.
    pub device: (u32, u32),
    /// Inode number; 0 without a file.
    pub inode: u64,
    /// Where the name lies in the text.
    pub name: Range<u32>,
}

impl Mapping {
    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether `address` lies inside.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether there is a name.
    #[must_use]
    pub fn has_name(&self) -> bool {
        !self.name.is_empty()
    }

    /// The name exactly as in `text`, which must be the text this mapping was parsed from; empty when there is none.
    #[must_use]
    pub fn name<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let bound = |at: u32| usize::try_from(at).ok();
        let range = bound(self.name.start).zip(bound(self.name.end));
        range.and_then(|(start, end)| text.get(start..end)).unwrap_or_default()
    }

    /// The name with the kernel's escapes undone. A trailing ` (deleted)` stays: see [`strip_deleted`].
    ///
    /// The kernel escapes newlines but not backslashes, so a path that really contains the four characters `\012`
    /// cannot be told from one with a newline; the newline wins. See [`is_ambiguous`](Self::is_ambiguous).
    #[must_use]
    pub fn path<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        unescape(self.name(text))
    }

    /// Whether the name has what may be an escape or may be meant literally.
    #[must_use]
    pub fn is_ambiguous(&self, text: &[u8]) -> bool {
        has_escape(self.name(text))
    }

    /// Whether a file (or shared memory object, or device) backs the mapping.
    #[must_use]
    pub fn is_file(&self, text: &[u8]) -> bool {
        self.has_name() && self.name(text).first() == Some(&b'/')
    }

    /// What backs the mapping.
    #[must_use]
    pub fn kind(&self, text: &[u8]) -> RegionKind {
        if self.inode == 0 && !self.has_name() {
            return RegionKind::Anonymous;
        }
        match self.name(text) {
            b"[stack]" => RegionKind::Stack,
            b"[heap]" => RegionKind::Heap,
            // Shared anonymous memory that was given a name has an inode of the kernel's own shmem file system.
            name if is_device(name) => RegionKind::Device,
            _ if self.inode != 0 => RegionKind::File,
            // Kernels 3.4 to 4.4 marked the stacks of threads; to the kernel they are anonymous memory.
            name if name.is_empty() || name.starts_with(b"[anon:") || name.starts_with(b"[stack:") => {
                RegionKind::Anonymous
            }
            name if name.starts_with(b"[") => RegionKind::Kernel,
            _ => RegionKind::File,
        }
    }

    /// The mapping as a region of the snapshot, without its name. Allocates nothing.
    #[must_use]
    pub fn to_nameless_region(&self, text: &[u8]) -> Region {
        Region {
            start: self.start,
            end: self.end,
            protection: self.protection,
            shared: self.shared,
            kind: self.kind(text),
            dont_dump: false,
            offset: self.offset,
            name: Vec::new(),
        }
    }
}

/// Whether a mapping of this name shows a device's memory. Those of /dev/shm and /dev/zero show ordinary memory.
fn is_device(name: &[u8]) -> bool {
    name.starts_with(b"/dev/") && !name.starts_with(b"/dev/shm/") && !name.starts_with(b"/dev/zero")
}

/// `path` without the kernel's mark for a file whose name is gone, or `None` when the mark is not there. A file may
/// also really be called so: only comparing inodes tells.
#[must_use]
pub fn strip_deleted(path: &[u8]) -> Option<&[u8]> {
    path.strip_suffix(DELETED_SUFFIX).filter(|path| !path.is_empty())
}

/// Index of the mapping of the sorted list `mappings` that contains `address`.
#[must_use]
pub fn index_of(mappings: &[Mapping], address: u64) -> Option<usize> {
    let index = mappings.partition_point(|mapping| mapping.end <= address);
    mappings.get(index).is_some_and(|mapping| mapping.contains(address)).then_some(index)
}

/// Parses the text of /proc/PID/maps and appends to `out`, which afterwards is sorted by address and free of
/// overlaps (when it was before). Returns how many lines were skipped: malformed ones, and ones that are out of
/// order or overlap the line before, as happens when the target maps memory between two reads of the file.
pub fn parse(text: &[u8], out: &mut Vec<Mapping>) -> usize {
    out.reserve(text.len() / SHORT_LINE);
    let mut skipped = 0;
    let mut floor = out.last().map_or(0, |mapping| mapping.end);
    let mut rest = text;
    while !rest.is_empty() {
        let parsed = parse_line(text, &mut rest);
        match parsed {
            Some(mapping) if mapping.start >= floor => {
                floor = mapping.end;
                out.push(mapping);
            }
            _ => skipped += 1,
        }
    }
    skipped
}

/// Parses one line at the start of `rest`, which is a tail of `text`, and moves `rest` behind it.
fn parse_line(text: &[u8], rest: &mut &[u8]) -> Option<Mapping> {
    let fields = parse_fields(rest);
    skip_blanks(rest);
    let name_start = text.len() - rest.len();
    let mut name_end = name_start;
    if let Some(tail) = rest.strip_prefix(b"\n") {
        *rest = tail;
    } else {
        name_end += rest.skip_until(b'\n').unwrap_or_default();
        if name_end > name_start && text.get(name_end - 1) == Some(&b'\n') {
            name_end -= 1;
        }
    }
    let mut mapping = fields?;
    mapping.name = u32::try_from(name_start).ok()?..u32::try_from(name_end).ok()?;
    Some(mapping)
}

/// Moves `rest` behind the blanks at its start: the kernel pads most lines with some twenty of them.
fn skip_blanks(rest: &mut &[u8]) {
    while let Some(tail) = rest.strip_prefix(b"        ") {
        *rest = tail;
    }
    while let Some(tail) = rest.strip_prefix(b" ") {
        *rest = tail;
    }
}

/// Parses the fields before the name. Never consumes a newline, so that the caller finds the end of a bad line.
fn parse_fields(rest: &mut &[u8]) -> Option<Mapping> {
    let start = hexadecimal(rest, b'-')?;
    let end = hexadecimal(rest, b' ')?;
    let (protection, shared) = permissions(rest)?;
    let (offset, device, inode) = parse_file(rest)?;
    let ends_well = matches!(rest.first(), None | Some(b' ' | b'\n'));
    (start < end && ends_well).then_some(Mapping {
        start,
        end,
        protection,
        shared,
        offset,
        device,
        inode,
        name: 0..0,
    })
}

/// Parses offset, device and inode.
fn parse_file(rest: &mut &[u8]) -> Option<(u64, (u32, u32), u64)> {
    // Most mappings are of no file. The inode must end here: as the start of a larger one, the 0 is not that number.
    let no_file = rest.strip_prefix(b"00000000 00:00 0");
    if let Some(tail) = no_file.filter(|tail| !tail.first().is_some_and(u8::is_ascii_digit)) {
        *rest = tail;
        return Some((0, (0, 0), 0));
    }
    let offset = hexadecimal(rest, b' ')?;
    let major = u32::try_from(hexadecimal(rest, b':')?).ok()?;
    let minor = u32::try_from(hexadecimal(rest, b' ')?).ok()?;
    Some((offset, (major, minor), decimal(rest)?))
}

/// The four letters of the access rights and the blank behind them.
fn permissions(rest: &mut &[u8]) -> Option<(Protection, bool)> {
    let ([read, write, execute, sharing, b' '], tail) = rest.split_first_chunk::<5>()? else { return None };
    let flag = |byte: u8, letter: u8, flag: Protection| match byte {
        b'-' => Some(Protection::empty()),
        byte if byte == letter => Some(flag),
        _ => None,
    };
    let protection = flag(*read, b'r', Protection::READ)?
        | flag(*write, b'w', Protection::WRITE)?
        | flag(*execute, b'x', Protection::EXECUTE)?;
    let shared = match sharing {
        b's' => true,
        b'p' => false,
        _ => return None,
    };
    *rest = tail;
    Some((protection, shared))
}

fn has_escape(name: &[u8]) -> bool {
    // Few names have a backslash at all.
    name.contains(&b'\\') && name.windows(ESCAPED_NEWLINE.len()).any(|window| window == ESCAPED_NEWLINE)
}

fn unescape(name: &[u8]) -> Cow<'_, [u8]> {
    if !has_escape(name) {
        return Cow::Borrowed(name);
    }
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, tail)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(ESCAPED_NEWLINE) {
            out.push(b'\n');
            rest = behind;
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
