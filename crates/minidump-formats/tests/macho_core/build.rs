//! The snapshots, plans and memory that the tests encode.

use crate::parse::Core;
use minidump_formats::macho_core::{MachoCoreOptions, Written, layout};
use minidump_snapshot::cpu::{Amd64State, Arm64State, Arm64Vector};
use minidump_snapshot::{
    AppleFacts, AppleThread, BufferSource, Cpu, CpuState, FaultState, MachImage, MachSegment, MemoryPlan,
    MemorySource, Module, ModuleId, OperatingSystem, PlannedRange, Process, Protection, Purpose, Region,
    RegionKind, Snapshot, System, Thread,
};

pub const PID: u32 = 4000;
pub const ARM64: u32 = 0x0100_000c;
pub const X86_64: u32 = 0x0100_0007;

pub fn amd64() -> Cpu {
    Cpu::Amd64 {
        vendor: *b"GenuineIntel",
        version_information: 0x0005_06e3,
        feature_information: 0xbfeb_fbff,
        extended_features: 0x2c10_0800,
        xsave: vec![],
    }
}

pub fn system(cpu: Cpu) -> System {
    System {
        os: OperatingSystem::MacOs,
        version: (14, 5, 0),
        description: "Darwin 23.5.0 arm64".into(),
        cpu,
        cpu_count: 8,
        cpu_max_mhz: None,
        page_size: 0x4000,
        build: "minidump-writer 0.1.0".into(),
    }
}

/// A process on AArch64 of which nothing else is known.
pub fn empty() -> Snapshot {
    let process = Process { pid: PID, ..Process::default() };
    let mut snapshot = Snapshot::new(process, system(Cpu::Arm64));
    snapshot.captured_at_us = 1_700_000_000_900_000;
    snapshot.apple = Some(AppleFacts { cpu_type: ARM64, os_build: "23F79".into(), ..AppleFacts::default() });
    snapshot
}

/// The same on x86-64.
pub fn empty_amd64() -> Snapshot {
    let mut snapshot = Snapshot { system: system(amd64()), ..empty() };
    snapshot.apple = Some(AppleFacts { cpu_type: X86_64, cpu_subtype: 3, ..AppleFacts::default() });
    snapshot
}

/// Registers that all differ.
pub fn arm64_registers(seed: u64) -> Arm64State {
    let value = |index: u64| seed << 32 | 0x1111_0000 | index;
    let byte = |index: usize, at: usize| u8::try_from((index * 16 + at) % 251).unwrap();
    let v = std::array::from_fn(|index| std::array::from_fn(|at| byte(index, at)));
    Arm64State {
        x: std::array::from_fn(|index| value(index as u64)),
        fp: value(29),
        lr: value(30),
        sp: value(31),
        pc: value(32),
        cpsr: 0x6000_1000,
        vector: Some(Box::new(Arm64Vector { v, fpsr: 0x11, fpcr: 0x22 })),
    }
}

/// Registers that all differ, with an FXSAVE image.
pub fn amd64_registers(seed: u64) -> Amd64State {
    let value = |index: u64| seed << 32 | 0x1111_0000 | index;
    Amd64State {
        rax: value(0),
        rbx: value(1),
        rcx: value(2),
        rdx: value(3),
        rdi: value(4),
        rsi: value(5),
        rbp: value(6),
        rsp: value(7),
        r8: value(8),
        r9: value(9),
        r10: value(10),
        r11: value(11),
        r12: value(12),
        r13: value(13),
        r14: value(14),
        r15: value(15),
        rip: value(16),
        rflags: 0x246,
        cs: 0x2b,
        ss: 0x23,
        ds: 1,
        es: 2,
        fs: 3,
        gs: 4,
        fs_base: value(17),
        gs_base: value(18),
        orig_rax: u64::MAX,
        xsave: (0..512_u32).map(|index| (index.wrapping_mul(7) % 251) as u8).collect(),
        debug: None,
    }
}

pub fn thread(id: u32, state: Arm64State) -> Thread {
    let mut thread = Thread::new(id);
    thread.cpu = Some(CpuState::Arm64(Box::new(state)));
    thread.apple = Some(Box::new(apple_thread(id)));
    thread
}

pub fn amd64_thread(id: u32, state: Amd64State) -> Thread {
    let cpu = Some(CpuState::Amd64(Box::new(state)));
    Thread { cpu, ..thread(id, Arm64State::default()) }
}

/// A thread whose id does not fit 32 bits, with an exception.
pub fn apple_thread(id: u32) -> AppleThread {
    let fault = FaultState { address: 0xdead_0000, syndrome: 0x9200_0046, number: 3, cpu: 5 };
    AppleThread {
        id: 0x5_0000_0000 | u64::from(id),
        handle: 0x1_6f00_0000,
        dispatch_queue: Some(b"com.example.queue".to_vec()),
        suspend_count: 1,
        fault: Some(fault),
    }
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

pub fn module(base: u64, path: &[u8], uuid: u8) -> Module {
    Module {
        base,
        size: 0x8000,
        path: path.to_vec(),
        soname: None,
        version: None,
        id: Some(ModuleId::Uuid([uuid; 16])),
        is_main: false,
        deleted: false,
    }
}

pub fn segment(name: &[u8], address: u64, size: u64, protection: Protection) -> MachSegment {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name);
    MachSegment { name: padded, address, size, protection }
}

pub fn image(base: u64, slide: u64, segments: Vec<MachSegment>) -> MachImage {
    MachImage { base, slide, file_type: 6, cpu_subtype: 0, header_size: 0x800, segments, executing: true }
}

pub fn plan(ranges: &[(u64, u64, Purpose)]) -> MemoryPlan {
    let range = |(start, size, purpose): &(u64, u64, Purpose)| PlannedRange {
        start: *start,
        size: *size,
        purpose: *purpose,
    };
    MemoryPlan::from_ranges(ranges.iter().map(range).collect(), vec![])
}

/// The byte that the synthetic target has at `address`. It is never zero.
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
    options: &MachoCoreOptions,
) -> (Core, Written) {
    let layout = layout(snapshot, plan, options).unwrap();
    let mut bytes = Vec::new();
    let written = layout.write(source, &mut bytes).unwrap();
    assert_eq!((written.bytes, layout.total_size()), (bytes.len() as u64, bytes.len() as u64));
    (Core::new(bytes), written)
}

pub fn encode_from(snapshot: &Snapshot, plan: &MemoryPlan) -> Core {
    encode_with(snapshot, plan, &full_source(plan), &MachoCoreOptions::default()).0
}

pub fn encode(snapshot: &Snapshot) -> Core {
    encode_from(snapshot, &MemoryPlan::default())
}
