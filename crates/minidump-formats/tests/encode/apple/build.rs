//! Snapshots of Mach tasks.

use crate::build::{PID, encode_from, full_source, module, registers, system, thread};
use crate::raw::Raw;
use minidump_formats::minidump::{Arm64Context, LayoutOptions, layout};
use minidump_snapshot::cpu::{Amd64State, Arm64State, Arm64Vector};
use minidump_snapshot::{
    AppleFacts, AppleThread, BufferSource, Cpu, CpuState, Exception, FaultState, FileVersion, MachImage,
    MachSegment, MemoryPlan, Module, ModuleId, OperatingSystem, Process, Protection, SharedCache, Snapshot,
    System, Thread,
};

pub const UUID: [u8; 16] = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10";
pub const PAIRS: [Arm64Context; 2] = [Arm64Context::Breakpad, Arm64Context::Microsoft];

pub fn mac_system(cpu: Cpu) -> System {
    System {
        os: OperatingSystem::MacOs,
        version: (14, 5, 1),
        description: "Darwin 23.5.0 root:xnu-10063.121.3".into(),
        cpu,
        cpu_count: 10,
        cpu_max_mhz: None,
        page_size: 16384,
        build: "minidump-writer 0.1.0".into(),
    }
}

/// Without XSAVE areas: macOS tells none.
pub fn intel() -> Cpu {
    let mut cpu = system().cpu;
    if let Cpu::Amd64 { xsave, .. } = &mut cpu {
        xsave.clear();
    }
    cpu
}

pub fn facts() -> AppleFacts {
    AppleFacts { cpu_type: 0x0100_000c, os_build: "23F79".into(), ..AppleFacts::default() }
}

pub fn mac(cpu: Cpu, threads: Vec<Thread>) -> Snapshot {
    let mut snapshot = Snapshot::new(Process { pid: PID, ..Process::default() }, mac_system(cpu));
    snapshot.captured_at_us = 1_700_000_000_900_000;
    snapshot.apple = Some(facts());
    snapshot.threads = threads;
    snapshot
}

/// Registers that all differ.
pub fn arm64_registers(seed: u64) -> Arm64State {
    let value = |index: u64| seed << 32 | 0x2222_0000 | index;
    let mut bytes = (0_u8..=255).cycle();
    let v = [[0_u8; 16]; 32].map(|lane| lane.map(|_| bytes.next().unwrap()));
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

/// As macOS tells the registers of a thread: an FXSAVE image and nothing behind it.
pub fn intel_registers(seed: u64) -> Amd64State {
    let mut state = registers(seed);
    state.xsave.truncate(512);
    state.orig_rax = u64::MAX;
    state
}

pub fn arm64_thread(id: u32) -> Thread {
    let mut thread = Thread::new(id);
    thread.cpu = Some(CpuState::Arm64(Box::new(arm64_registers(u64::from(id)))));
    thread.apple = Some(Box::new(apple_thread(id)));
    thread
}

pub fn intel_thread(id: u32) -> Thread {
    let mut thread = thread(id, intel_registers(u64::from(id)));
    thread.apple = Some(Box::new(apple_thread(id)));
    thread
}

pub fn apple_thread(id: u32) -> AppleThread {
    AppleThread {
        id: 0x1_0000_0000 | u64::from(id),
        handle: 0x1_6fe0_7000,
        dispatch_queue: Some(b"com.example.queue".to_vec()),
        suspend_count: 1,
        fault: Some(FaultState { address: 0x18, syndrome: 0x9200_0046, number: 0, cpu: 0 }),
    }
}

pub fn segment(name: &str, address: u64, size: u64) -> MachSegment {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    MachSegment { name: padded, address, size, protection: Protection::READ }
}

pub fn image(base: u64, file_type: u32) -> MachImage {
    MachImage {
        base,
        slide: 0x4000,
        file_type,
        cpu_subtype: 0,
        header_size: 0x800,
        segments: vec![segment("__TEXT", base, 0x8000), segment("__DATA", base + 0x10_0000, 0x4000)],
        executing: file_type == 2,
    }
}

pub fn dylib(base: u64, path: &str) -> Module {
    let mut module = module(base, 0x8000, path.as_bytes(), Some(ModuleId::Uuid(UUID)));
    module.version = Some(FileVersion { major: 1336, minor: 61, patch: 1, build: 0 });
    module.soname = Some(path.to_owned());
    module
}

/// An exception of thread 1.
pub fn exception(code: u32, flags: u32, address: u64, parameters: &[u64]) -> Exception {
    Exception { thread: 1, code, flags, address, parameters: parameters.to_vec() }
}

pub fn shared_cache() -> SharedCache {
    SharedCache { uuid: [0x5c; 16], base: 0x1_8000_0000, slide: 0x1_0000 }
}

pub fn encode_as(snapshot: &Snapshot, arm64_context: Arm64Context) -> Raw {
    let options = LayoutOptions { arm64_context, ..LayoutOptions::default() };
    let plan = MemoryPlan::default();
    let layout = layout(snapshot, &plan, &options).unwrap();
    assert_eq!(layout.soft_errors(), []);
    Raw::new(crate::build::write(&layout, &BufferSource::new()).0)
}

pub fn encode_with(snapshot: &Snapshot, plan: &MemoryPlan) -> Raw {
    encode_from(snapshot, plan, &full_source(plan))
}
