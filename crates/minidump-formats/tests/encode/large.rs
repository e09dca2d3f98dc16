//! Files beyond 4 GiB, written into a sink that keeps only what a test asks for.

use crate::build::{empty, plan, registers, thread};
use minidump_formats::minidump::{HOLE_TABLE_STREAM, LayoutOptions, layout};
use minidump_snapshot::{MemoryPlan, MemorySource, Purpose, ReadOutcome, Snapshot};
use std::io::{self, Write};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Every MiB of the target begins with its own address; all else is zero. Nothing is readable from `end` on.
struct Synthetic {
    end: u64,
}

impl MemorySource for Synthetic {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let readable = usize::try_from(self.end.saturating_sub(address)).unwrap().min(buffer.len());
        buffer[..readable].fill(0);
        let mut mark = address.next_multiple_of(MIB);
        while let Some(slot) =
            usize::try_from(mark - address).ok().and_then(|at| buffer[..readable].get_mut(at..at + 8))
        {
            slot.copy_from_slice(&mark.to_le_bytes());
            mark += MIB;
        }
        if readable == buffer.len() {
            ReadOutcome::complete(readable)
        } else {
            ReadOutcome::unreadable(readable, None)
        }
    }
}

/// Counts what it is given and keeps the bytes of some windows.
struct Sampling {
    position: u64,
    windows: Vec<(u64, Vec<u8>)>,
}

impl Sampling {
    fn new(windows: &[(u64, usize)]) -> Self {
        let windows = windows.iter().map(|(offset, size)| (*offset, vec![0xee; *size])).collect();
        Self { position: 0, windows }
    }

    fn u64(&self, window: usize, offset: usize) -> u64 {
        u64::from_le_bytes(self.windows[window].1[offset..offset + 8].try_into().unwrap())
    }
}

impl Write for Sampling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.position + bytes.len() as u64;
        for (offset, kept) in &mut self.windows {
            let low = self.position.max(*offset);
            let high = end.min(*offset + kept.len() as u64);
            if low < high {
                let at = |offset: u64, base: u64| usize::try_from(offset - base).unwrap();
                let from = &bytes[at(low, self.position)..at(high, self.position)];
                kept[at(low, *offset)..at(high, *offset)].copy_from_slice(from);
            }
        }
        self.position = end;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stack of 1 MiB, 4 GiB of another stack, and a third one behind the reach of 32 bits.
fn five_gib() -> (Snapshot, MemoryPlan) {
    let mut snapshot = empty();
    snapshot.threads = (1..=3).map(|id| thread(id, registers(u64::from(id)))).collect();
    snapshot.blamed_thread = Some(1);
    let ranges = [
        (16 * GIB, MIB, Purpose::BlamedStack),
        (32 * GIB, 4 * GIB, Purpose::Stack),
        (64 * GIB, 2 * MIB, Purpose::Stack),
    ];
    let stacks = [(1, 16 * GIB, MIB), (2, 32 * GIB, MIB), (3, 64 * GIB, 2 * MIB)];
    (snapshot, plan(&ranges, &stacks))
}

#[test]
fn a_file_beyond_4_gib_has_64_bit_offsets_and_the_size_that_was_laid_out() {
    let (snapshot, plan) = five_gib();
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    assert!(layout.uses_memory64());
    let memory = layout.memory_offset();
    let table_size = 16 + 16 * 512;
    let table = layout.total_size() - table_size;
    let last = memory + MIB + 4 * GIB;
    let head = usize::try_from(memory).unwrap();
    let mut sink = Sampling::new(&[
        (0, head),
        (memory, 8),
        (memory + MIB + 4 * GIB - MIB, 8),
        (last, 8),
        (last + MIB, 8),
        (table, 32),
    ]);
    // The last page of the last stack is unreadable.
    let hole = 64 * GIB + 2 * MIB - 4096;
    let written = layout.write(&Synthetic { end: hole }, &mut sink).unwrap();
    assert_eq!(sink.position, layout.total_size());
    assert_eq!(written.bytes, layout.total_size());
    assert_eq!(sink.u64(1, 0), 16 * GIB);
    assert_eq!(sink.u64(2, 0), 36 * GIB - MIB);
    assert_eq!(sink.u64(3, 0), 64 * GIB);
    assert_eq!(sink.u64(4, 0), 64 * GIB + MIB);
    let table = [sink.u64(5, 0), sink.u64(5, 8), sink.u64(5, 16), sink.u64(5, 24)];
    assert_eq!(table, [1, 4096, hole, 4096]);
    check_head(sink.windows.swap_remove(0).1, &layout);
}

fn check_head(head: Vec<u8>, layout: &minidump_formats::minidump::Layout<'_>) {
    let raw = crate::raw::Raw::new(head);
    assert_eq!(raw.find(5), None, "no narrow list");
    let (list, size) = raw.stream(9);
    assert_eq!(size, 16 + 3 * 16);
    assert_eq!((raw.u64(list), raw.u64(list + 8)), (3, layout.memory_offset()));
    let ranges: Vec<_> =
        (0..3).map(|index| (raw.u64(list + 16 + 16 * index), raw.u64(list + 24 + 16 * index))).collect();
    assert_eq!(ranges, [(16 * GIB, MIB), (32 * GIB, 4 * GIB), (64 * GIB, 2 * MIB)]);
    let (locator, _) = raw.stream(HOLE_TABLE_STREAM);
    assert_eq!(raw.u64(locator + 8), layout.total_size() - (16 + 16 * 512));
    assert_eq!(raw.u32(locator + 16), 512);
    let (threads, _) = raw.stream(3);
    let stack = |index: usize| {
        let thread = threads + 4 + 48 * index;
        (raw.u64(thread + 24), raw.location(thread + 32))
    };
    let memory = usize::try_from(layout.memory_offset()).unwrap();
    let mib = usize::try_from(MIB).unwrap();
    assert_eq!(stack(0), (16 * GIB, (memory, mib)));
    assert_eq!(stack(1), (32 * GIB, (memory + mib, mib)));
    assert_eq!(stack(2), (64 * GIB, (0, 0)), "out of reach: an address, never a wrapped offset");
}

#[test]
fn a_single_range_beyond_4_gib_is_laid_out_too() {
    let mut snapshot = empty();
    snapshot.threads.push(thread(1, registers(1)));
    let plan = plan(&[(GIB, 5 * GIB, Purpose::BlamedStack)], &[(1, GIB, 5 * GIB)]);
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    assert!(layout.uses_memory64());
    assert_eq!(layout.total_size(), layout.memory_offset() + 5 * GIB + 16 + 16 * 512);
}

#[test]
fn just_below_4_gib_the_narrow_list_is_kept() {
    let snapshot = empty();
    let narrow = plan(&[(GIB, 4 * GIB - MIB, Purpose::Stack)], &[]);
    assert!(!layout(&snapshot, &narrow, &LayoutOptions::default()).unwrap().uses_memory64());
    let wide = plan(&[(GIB, 4 * GIB - 1000, Purpose::Stack)], &[]);
    assert!(layout(&snapshot, &wide, &LayoutOptions::default()).unwrap().uses_memory64());
}
