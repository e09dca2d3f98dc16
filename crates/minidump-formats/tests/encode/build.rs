//! The snapshots, plans and memory that the tests encode.

use crate::raw::Raw;
use minidump_formats::minidump::{Layout, LayoutOptions, Written, layout};
use minidump_snapshot::cpu::{Amd64State, DebugRegisters};
use minidump_snapshot::{
    BufferSource, Cpu, CpuState, FileVersion, MemoryPlan, MemorySource, Module, ModuleId, OperatingSystem,
    PlannedRange, Process, Protection, Purpose, Region, RegionKind, Snapshot, System, Thread, ThreadStack,
    XsaveComponent,
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

/// Registers that all differ, with an XSAVE area of FXSAVE image, header and AVX.
pub fn registers(seed: u64) -> Amd64State {
    let value = |index: u64| seed << 32 | 0x1111_0000 | index;
    let mut xsave: Vec<u8> = (0..832_u32).map(|index| (index.wrapping_mul(7) % 251) as u8).collect();
    xsave[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
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

pub fn debug_registers() -> DebugRegisters {
    DebugRegisters { dr0_3: [0xd0, 0xd1, 0xd2, 0xd3], dr6: 0xd6, dr7: 0xd7 }
}

pub fn module(base: u64, size: u64, path: &[u8], id: Option<ModuleId>) -> Module {
    Module {
        base,
        size,
        path: path.to_vec(),
        soname: None,
        version: Some(FileVersion { major: 2, minor: 39, patch: 1, build: 7 }),
        id,
        is_main: false,
        deleted: false,
    }
}

pub fn region(start: u64, end: u64, protection: Protection, kind: RegionKind) -> Region {
    Region { start, end, protection, shared: false, kind, dont_dump: false, offset: 0, name: vec![] }
}

pub fn range(start: u64, size: u64, purpose: Purpose) -> PlannedRange {
    PlannedRange { start, size, purpose }
}

pub fn plan(ranges: &[(u64, u64, Purpose)], stacks: &[(u32, u64, u64)]) -> MemoryPlan {
    let ranges = ranges.iter().map(|(start, size, purpose)| range(*start, *size, *purpose)).collect();
    let stacks = stacks.iter().map(|(thread, start, size)| ThreadStack {
        thread: *thread,
        start: *start,
        size: *size,
    });
    MemoryPlan::from_ranges(ranges, stacks.collect())
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

pub fn write(layout: &Layout<'_>, source: &dyn MemorySource) -> (Vec<u8>, Written) {
    let mut bytes = Vec::new();
    let written = layout.write(source, &mut bytes).unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    assert_eq!(layout.total_size(), bytes.len() as u64);
    (bytes, written)
}

pub fn encode_from(snapshot: &Snapshot, plan: &MemoryPlan, source: &dyn MemorySource) -> Raw {
    let layout = layout(snapshot, plan, &LayoutOptions::default()).unwrap();
    assert_eq!(layout.soft_errors(), []);
    Raw::new(write(&layout, source).0)
}

pub fn encode(snapshot: &Snapshot) -> Raw {
    encode_from(snapshot, &MemoryPlan::default(), &BufferSource::new())
}
