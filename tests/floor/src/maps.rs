//! The ranges of /proc/PID/maps, and which of them holds a stack.

use crate::sys::{self, Range};
use std::{
    fs::File,
    io::{self, Read},
};

/// Reads the whole map into `ranges`. The kernel hands out whole lines, a page or less of them at a time.
pub fn read(mut file: &File, buffer: &mut [u8], ranges: &mut Vec<Range>) -> io::Result<()> {
    loop {
        let size = file.read(buffer)?;
        if size == 0 {
            return Ok(());
        }
        let mut text = buffer.get(..size).unwrap_or_default();
        while !text.is_empty() {
            ranges.extend(range(text));
            // The rights, the offset and more stand between the range and the end of the line.
            let rest = text.get(SHORTEST..).unwrap_or_default();
            text = sys::find(rest, b'\n').and_then(|end| rest.get(end + 1..)).unwrap_or_default();
        }
    }
}

/// Less than the shortest line has.
const SHORTEST: usize = 32;

/// `START-END` in hexadecimal digits.
fn range(line: &[u8]) -> Option<Range> {
    let (start, rest) = number(line)?;
    let (end, _) = number(rest)?;
    Some((start, end))
}

/// A hexadecimal number, and what follows the character behind it.
fn number(text: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in text.iter().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return Some((value, text.get(index + 1..)?)),
        };
        value = value << 4 | usize::from(digit);
    }
    None
}

/// The part of a stack that a dump has by default: from the red zone below the stack pointer to the thread block at its
/// high end, the end of the mapping, or 256 KiB, whichever comes first.
pub fn stack(ranges: &[Range], stack_pointer: usize, thread_pointer: usize) -> Option<Range> {
    /// Below the stack pointer, free for leaf functions (System V ABI for x86-64, 3.2.2).
    const RED_ZONE: usize = 128;
    /// Size of the thread block of glibc.
    const THREAD_BLOCK: usize = 0x900;
    const CAP: usize = 256 << 10;
    let above = ranges.partition_point(|(_, end)| *end <= stack_pointer);
    let (start, end) = ranges.get(above).copied().filter(|(start, _)| *start <= stack_pointer)?;
    let low = start.max(stack_pointer.saturating_sub(RED_ZONE));
    let end = if (low..end).contains(&thread_pointer) {
        end.min((thread_pointer + THREAD_BLOCK).next_multiple_of(0x1000))
    } else {
        end
    };
    Some((low, end.min(low + CAP)))
}

#[cfg(test)]
mod tests {
    use super::{range, stack};

    #[test]
    fn a_range_is_read_off_a_line() {
        let line = b"7f0012345000-7fffdeadb000 r--p 00000000 00:00 0 \n";
        assert_eq!(range(line), Some((0x7f00_1234_5000, 0x7fff_dead_b000)));
        assert_eq!(range(b"7f00"), None);
    }

    #[test]
    fn a_stack_reaches_from_the_red_zone_to_its_end_its_thread_block_or_the_cap() {
        let ranges = [(0x1000, 0x9000), (0xa000, 0x10_0000)];
        assert_eq!(stack(&ranges, 0x3000, 0), Some((0x3000 - 128, 0x9000)));
        assert_eq!(stack(&ranges, 0x1010, 0x4600), Some((0x1000, 0x5000)));
        assert_eq!(stack(&ranges, 0xb000, 0), Some((0xb000 - 128, 0xb000 - 128 + (256 << 10))));
        assert_eq!(stack(&ranges, 0x9800, 0), None);
        assert_eq!(stack(&ranges, 0x10_0000, 0), None);
    }
}
