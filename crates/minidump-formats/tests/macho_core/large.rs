//! Cores beyond 4 GiB, and of very many ranges.

use crate::build::{arm64_registers, empty, encode_from, plan, region, thread};
use crate::parse::{Core, Segment};
use minidump_formats::macho_core::{MachoCoreOptions, layout};
use minidump_snapshot::{MemorySource, Protection, Purpose, ReadOutcome};
use std::io::{self, Write};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Every MiB of the target begins with its own address; all else is zero.
struct Synthetic;

impl MemorySource for Synthetic {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        buffer.fill(0);
        let mut mark = address.next_multiple_of(MIB);
        while let Some(slot) = usize::try_from(mark - address).ok().and_then(|at| buffer.get_mut(at..at + 8))
        {
            slot.copy_from_slice(&mark.to_le_bytes());
            mark += MIB;
        }
        ReadOutcome::complete(buffer.len())
    }
}

/// Keeps the head of a file, and the word at each of some offsets.
struct Sampling {
    position: u64,
    head: Vec<u8>,
    words: Vec<(u64, [u8; 8])>,
    /// The most that one call brought.
    largest: usize,
}

impl Write for Sampling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.position + bytes.len() as u64;
        let room = self.head.capacity() - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        for (offset, word) in &mut self.words {
            for (index, byte) in (*offset..*offset + 8).zip(word) {
                if (self.position..end).contains(&index) {
                    *byte = bytes[usize::try_from(index - self.position).unwrap()];
                }
            }
        }
        self.position = end;
        self.largest = self.largest.max(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn offsets_beyond_4_gib_are_right_and_little_is_held() {
    let mut snapshot = empty();
    snapshot.threads.push(thread(1, arm64_registers(1)));
    let ranges = [
        (16 * GIB, MIB, Purpose::BlamedStack),
        (32 * GIB, 4 * GIB, Purpose::Stack),
        (64 * GIB, MIB, Purpose::Stack),
    ];
    let plan = plan(&ranges);
    let options = MachoCoreOptions { source_is_complete: true, ..MachoCoreOptions::default() };
    let layout = layout(&snapshot, &plan, &options).unwrap();
    let memory = layout.memory_offset();
    assert_eq!(layout.total_size(), memory + 4 * GIB + 2 * MIB);
    let offsets = [memory, memory + MIB, memory + 4 * GIB, memory + 4 * GIB + MIB];
    let words = offsets.iter().map(|offset| (*offset, [0; 8])).collect();
    let head = Vec::with_capacity(usize::try_from(memory).unwrap());
    let mut sink = Sampling { position: 0, head, words, largest: 0 };
    assert_eq!(layout.write(&Synthetic, &mut sink).unwrap().bytes, layout.total_size());
    assert_eq!(sink.position, layout.total_size());
    assert!(sink.largest <= 64 << 10);
    let found: Vec<u64> = sink.words.iter().map(|(_, word)| u64::from_le_bytes(*word)).collect();
    assert_eq!(found, [16 * GIB, 32 * GIB, 36 * GIB - MIB, 64 * GIB]);
    let segment = |address, size, offset| Segment { address, size, offset, protection: 1 };
    let expected = [
        segment(16 * GIB, MIB, memory),
        segment(32 * GIB, 4 * GIB, memory + MIB),
        segment(64 * GIB, MIB, memory + 4 * GIB + MIB),
    ];
    assert_eq!(Core::head(sink.head).segments, expected);
}

#[test]
fn a_hundred_thousand_ranges_are_all_there() {
    const COUNT: u64 = 100_000;
    let mut snapshot = empty();
    snapshot.regions = vec![region(0, COUNT * 32, Protection::READ)];
    let ranges: Vec<_> = (0..COUNT).map(|index| (index * 32, 16, Purpose::Indirect)).collect();
    let core = encode_from(&snapshot, &plan(&ranges));
    assert_eq!(core.segments.len() as u64, COUNT);
    for (segment, (address, size, _)) in core.segments.iter().zip(&ranges) {
        assert_eq!((segment.address, segment.size), (*address, *size));
        let start = usize::try_from(segment.offset).unwrap();
        assert_eq!(core.bytes[start], crate::build::byte_at(*address));
    }
}
