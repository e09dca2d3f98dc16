//! /proc/thread-self/maps, line by line through a fixed buffer.
//!
//! Not /proc/self: that is the main thread's, whose map is empty once it has exited.

use crate::bytes::copy;
use crate::proc_fs::{File, ProcFs};
use crate::sys::Errno;

pub(crate) const PATH: &[u8] = b"/proc/thread-self/maps\0";

/// Most lines that are read. The kernel's own limit is 65,530 unless somebody raised it.
const MAX_LINES: u32 = 1 << 20;

/// A mapping of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapping<'a> {
    pub start: u64,
    pub end: u64,
    pub readable: bool,
    pub writable: bool,
    pub executable: bool,
    pub offset: u64,
    /// Major and minor number.
    pub device: (u64, u64),
    pub inode: u64,
    /// File, or a name of the kernel's in brackets; empty for anonymous memory.
    pub name: &'a [u8],
}

impl Mapping<'_> {
    pub(crate) fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Reading a device's memory may do something to the device.
    pub(crate) fn is_device(&self) -> bool {
        self.name.starts_with(b"/dev/") && !self.name.starts_with(b"/dev/shm/") && self.name != b"/dev/zero"
    }

    /// Memory that a stack may be in.
    pub(crate) fn is_stack_like(&self) -> bool {
        self.readable && self.writable && !self.is_device()
    }
}

pub(crate) struct Maps<'a> {
    file: File,
    buffer: &'a mut [u8],
    /// What of the buffer is read and not yet used.
    start: usize,
    end: usize,
    lines: u32,
}

impl<'a> Maps<'a> {
    pub(crate) fn open(proc_fs: &ProcFs, buffer: &'a mut [u8]) -> Result<Self, Errno> {
        let file = proc_fs.open(PATH, false)?;
        Ok(Self { file, buffer, start: 0, end: 0, lines: 0 })
    }

    /// The next mapping, by ascending address. Lines that are no mappings are skipped.
    pub(crate) fn next(&mut self) -> Option<Mapping<'_>> {
        loop {
            let (start, end) = self.next_line()?;
            if parse(self.buffer.get(start..end)?).is_some() {
                return parse(self.buffer.get(start..end)?);
            }
        }
    }

    fn next_line(&mut self) -> Option<(usize, usize)> {
        self.lines = self.lines.checked_add(1).filter(|lines| *lines <= MAX_LINES)?;
        let mut is_cut = false;
        loop {
            let rest = self.buffer.get(self.start..self.end)?;
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                let line = (self.start, self.start.saturating_add(length));
                self.start = line.1.saturating_add(1);
                if !is_cut {
                    return Some(line);
                }
                // The end of a line that was longer than the buffer, and returned cut.
                is_cut = false;
                continue;
            }
            let is_whole_buffer = rest.len() == self.buffer.len();
            if is_whole_buffer {
                // No path of the kernel's is that long. Without the end of its line it cannot be told from others.
                is_cut = true;
                self.start = self.end;
            }
            if !self.refill() {
                let line = (self.start, self.end);
                self.start = self.end;
                return (line.0 < line.1 && !is_cut).then_some(line);
            }
        }
    }

    /// Reads more. `false` at the end of the file.
    fn refill(&mut self) -> bool {
        let kept = self.end.saturating_sub(self.start);
        self.buffer.copy_within_checked(self.start, kept);
        self.start = 0;
        self.end = kept;
        let room = self.buffer.get_mut(kept..).unwrap_or_default();
        let more = self.file.read(room).unwrap_or(0);
        self.end = kept.saturating_add(more);
        more > 0
    }
}

/// Moves bytes to the front; `copy_within` of the standard library can panic.
trait MoveToFront {
    fn copy_within_checked(&mut self, from: usize, count: usize);
}

impl MoveToFront for [u8] {
    fn copy_within_checked(&mut self, from: usize, count: usize) {
        if from == 0 {
            return;
        }
        let mut piece = [0; 64];
        let mut done = 0_usize;
        while done < count {
            let start = from.saturating_add(done);
            let rest = self.get(start..from.saturating_add(count)).unwrap_or_default();
            let size = copy(&mut piece, rest);
            if size == 0 {
                break;
            }
            let to = self.get_mut(done..).unwrap_or_default();
            copy(to, piece.get(..size).unwrap_or_default());
            done = done.saturating_add(size);
        }
    }
}

/// A line: `start-end rwxp offset major:minor inode   name`, numbers in hexadecimal but for the inode (proc(5)).
fn parse(line: &[u8]) -> Option<Mapping<'_>> {
    let (start, rest) = hex(line)?;
    let (end, rest) = hex(rest.strip_prefix(b"-")?)?;
    let [b' ', r, w, x, _, b' ', rest @ ..] = rest else { return None };
    let (offset, rest) = hex(rest)?;
    let (major, rest) = hex(rest.strip_prefix(b" ")?)?;
    let (minor, rest) = hex(rest.strip_prefix(b":")?)?;
    let (inode, rest) = number(rest.strip_prefix(b" ")?, 10)?;
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    let name = rest.get(blanks..).unwrap_or_default();
    let [readable, writable, executable] = [*r == b'r', *w == b'w', *x == b'x'];
    let device = (major, minor);
    (start < end).then_some(Mapping {
        start,
        end,
        readable,
        writable,
        executable,
        offset,
        device,
        inode,
        name,
    })
}

/// The hexadecimal number at the start of `text`, and what follows it.
pub(crate) fn hex(text: &[u8]) -> Option<(u64, &[u8])> {
    number(text, 16)
}

pub(crate) fn number(text: &[u8], base: u8) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut digits = 0_usize;
    for byte in text {
        let digit = match byte {
            b'0'..=b'9' => byte.wrapping_sub(b'0'),
            b'a'..=b'f' => byte.wrapping_sub(b'a').wrapping_add(10),
            _ => break,
        };
        if digit >= base {
            break;
        }
        value = value.checked_mul(base.into())?.checked_add(digit.into())?;
        digits = digits.saturating_add(1);
    }
    (digits > 0).then_some((value, text.get(digits..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_of_the_kernel_is_taken_apart() {
        let line =
            b"7f0a1000-7f0a3000 r-xp 00001000 fe:01 131077                     /usr/lib/a b.so (deleted)";
        let expected = Mapping {
            start: 0x7f0a_1000,
            end: 0x7f0a_3000,
            readable: true,
            writable: false,
            executable: true,
            offset: 0x1000,
            device: (0xfe, 1),
            inode: 131_077,
            name: b"/usr/lib/a b.so (deleted)",
        };
        assert_eq!(parse(line), Some(expected));
        let stack = parse(b"7ffc8000-7ffc9000 rw-p 00000000 00:00 0    [stack]").unwrap();
        assert_eq!((stack.name, stack.is_stack_like()), (b"[stack]".as_slice(), true));
        assert_eq!(parse(b"7ffc8000-7ffc9000 ---p 00000000 00:00 0").unwrap().name, b"");
    }

    #[test]
    fn what_is_no_mapping_is_none() {
        for line in [
            &b""[..],
            b"x",
            b"2000-1000 rw-p 0 0:0 0",
            b"1000-2000 rw-p",
            b"10000000000000000-2 rw-p 0 0:0 0",
        ] {
            assert_eq!(parse(line), None);
        }
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn a_small_buffer_reads_the_same_mappings_as_a_large_one() {
        let proc_fs = ProcFs::new();
        let names = |size: usize| {
            let mut buffer = std::vec![0; size];
            let mut maps = Maps::open(&proc_fs, &mut buffer).unwrap();
            let mut found = Vec::new();
            while let Some(mapping) = maps.next() {
                if mapping.name.starts_with(b"/") {
                    found.push((mapping.start, mapping.name.to_vec()));
                }
            }
            found
        };
        let large = names(1 << 16);
        assert!(large.len() > 4);
        assert_eq!(names(512), large);
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn a_line_longer_than_the_buffer_is_skipped_alone() {
        let proc_fs = ProcFs::new();
        let mut buffer = [0; 84];
        let mut maps = Maps::open(&proc_fs, &mut buffer).unwrap();
        let mut stack = false;
        let mut last = 0;
        while let Some(mapping) = maps.next() {
            assert!(mapping.start >= last);
            last = mapping.end;
            stack |= mapping.name == b"[stack]";
        }
        assert!(stack);
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&line);
        }
    }
}
