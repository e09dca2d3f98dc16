//! The snapshots, plans and memory that the tests encode.

use crate::parse::Core;
use minidump_formats::elf_core::{CoreOptions, Written, layout};
use minidump_snapshot::cpu::Amd64State;
use minidump_snapshot::{
    BufferSource, Cpu, CpuState, MemoryPlan, MemorySource, OperatingSystem, PlannedRange, Process,
    Protection, Purpose, Region, RegionKind, Snapshot, System, Thread, XsaveComponent,
};

pub const PID: u32 = 4000;

pub fn system() -> System {
    System {
        os: OperatingSystem::Linux,
        version: (6, 8, 12),
        description: "Linux 6.8.12 #1 SMP x86_64".into(),
        cpu: Cpu::Amd64 {
            vendor: *b"GenuineIntel",
            version_information: 0x0005_06e3,
            feature_information: 0xbfeb_fbff,
            extended_features: 0x2c10_0800,
            xsave: vec![
                XsaveComponent { index: 2, offset: 576, size: 256 },
                XsaveComponent { index: 9, offset: 2688, size: 8 },
            ],
        },
        cpu_count: 12,
        cpu_max_mhz: Some(3900),
        page_size: 4096,
        build: "minidump-writer 0.1.0".into(),
    }
}

pub fn empty() -> Snapshot {
    let mut snapshot = Snapshot::new(Process { pid: PID, ..Process::default() }, system());
    snapshot.captured_at_us = 1_700_000_000_900_000;
    snapshot
}

/// Registers that all differ, with an XSAVE area of FXSAVE image, header and AVX, as a capture cuts it.
pub fn registers(seed: u64) -> Amd64State {
    let value = |index: u64| seed << 32 | 0x1111_0000 | index;
    let mut xsave: Vec<u8> = (0..832_u32).map(|index| (index.wrapping_mul(7) % 251) as u8).collect();
    xsave[464..472].copy_from_slice(&0x207_u64.to_le_bytes());
    xsave[512..520].copy_from_slice(&7_u64.to_le_bytes());
    Amd64State {
        rax: value(1),
        rbx: value(2),
        rcx: value(3),
        rdx: value(4),
        rsi: value(5),
        rdi: value(6),
        rbp: value(7),
        rsp: value(8),
        r8: value(9),
        r9: value(10),
        r10: value(11),
        r11: value(12),
        r12: value(13),
        r13: value(14),
        r14: value(15),
        r15: value(16),
        rip: value(17),
        rflags: 0x246,
        cs: 0x33,
        ss: 0x2b,
        ds: 1,
        es: 2,
        fs: 3,
        gs: 4,
        fs_base: value(18),
        gs_base: value(19),
        orig_rax: value(20),
        xsave,
        debug: None,
    }
}

pub fn thread(id: u32, registers: Amd64State) -> Thread {
    let mut thread = Thread::new(id);
    thread.thread_pointer = Some(registers.fs_base);
    thread.cpu = Some(CpuState::Amd64(Box::new(registers)));
    thread
}

pub fn region(start: u64, end: u64, protection: Protection) -> Region {
    Region {
        start,
        end,
        protection,
        shared: false,
        kind: RegionKind::Anonymous,
        dont_dump: false,
        offset: 0,
        name: vec![],
    }
}

pub fn file_region(start: u64, end: u64, offset: u64, name: &[u8]) -> Region {
    let kind = RegionKind::File;
    Region { kind, offset, name: name.to_vec(), ..region(start, end, Protection::READ) }
}

pub fn plan(ranges: &[(u64, u64, Purpose)]) -> MemoryPlan {
    let range = |(start, size, purpose): &(u64, u64, Purpose)| PlannedRange {
        start: *start,
        size: *size,
        purpose: *purpose,
    };
    MemoryPlan::from_ranges(ranges.iter().map(range).collect(), vec![])
}

/// The byte that the synthetic target has at `address`.
pub fn byte_at(address: u64) -> u8 {
    (address ^ address >> 8 ^ address >> 16).to_le_bytes()[0] | 1
}

pub fn bytes_at(address: u64, size: u64) -> Vec<u8> {
    (address..address + size).map(byte_at).collect()
}

/// A source that holds every range of `plan`.
pub fn full_source(plan: &MemoryPlan) -> BufferSource {
    let mut source = BufferSource::new();
    for range in plan.ranges() {
        assert!(source.insert(range.start, bytes_at(range.start, range.size)));
    }
    source
}

/// Encodes and checks that the size is the one that was laid out.
pub fn encode_with(
    snapshot: &Snapshot,
    plan: &MemoryPlan,
    source: &dyn MemorySource,
    options: &CoreOptions,
) -> (Core, Written) {
    let layout = layout(snapshot, plan, options).unwrap();
    assert_eq!(layout.soft_errors(), []);
    let mut bytes = Vec::new();
    let written = layout.write(source, &mut bytes).unwrap();
    assert_eq!((written.bytes, layout.total_size()), (bytes.len() as u64, bytes.len() as u64));
    (Core::new(bytes), written)
}

pub fn encode_from(snapshot: &Snapshot, plan: &MemoryPlan) -> Core {
    encode_with(snapshot, plan, &full_source(plan), &CoreOptions::default()).0
}

pub fn encode(snapshot: &Snapshot) -> Core {
    encode_from(snapshot, &MemoryPlan::default())
}
