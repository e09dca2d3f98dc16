//! Snapshots of processes of Windows.

use crate::build::{PID, registers, system};
use minidump_snapshot::cpu::{Arm64State, DebugRegisters, X86State};
use minidump_snapshot::{
    Cpu, CpuState, OperatingSystem, Process, Snapshot, System, Thread, WindowsFacts, WindowsThread,
    XsaveComponent,
};

pub const TEB: u64 = 0x7ffd_e000;
pub const PEB: u64 = 0x7ffd_d000;

pub fn amd64() -> Cpu {
    system().cpu
}

pub fn x86() -> Cpu {
    Cpu::X86 {
        vendor: *b"AuthenticAMD",
        version_information: 0x0083_0f10,
        feature_information: 0x178b_fbff,
        extended_features: 0x2fd3_fbff,
        xsave: vec![XsaveComponent { index: 2, offset: 576, size: 256 }],
    }
}

pub fn windows_system(cpu: Cpu) -> System {
    System {
        os: OperatingSystem::Windows,
        version: (10, 0, 19045),
        description: "Windows 10.0.19045 x86_64".into(),
        cpu,
        cpu_count: 8,
        cpu_max_mhz: Some(3600),
        page_size: 4096,
        build: "minidump-writer 0.1.0".into(),
    }
}

pub fn windows(cpu: Cpu, threads: Vec<Thread>) -> Snapshot {
    let mut snapshot = Snapshot::new(Process { pid: PID, ..Process::default() }, windows_system(cpu));
    snapshot.captured_at_us = 1_700_000_000_900_000;
    snapshot.threads = threads;
    snapshot.windows = Some(WindowsFacts { peb: Some(PEB), ..WindowsFacts::default() });
    snapshot
}

/// Adds to what only Windows tells.
pub fn with(mut snapshot: Snapshot, fill: impl FnOnce(&mut WindowsFacts)) -> Snapshot {
    fill(snapshot.windows.as_mut().unwrap());
    snapshot
}

/// Registers that all differ, with an FSAVE image and an XSAVE area.
pub fn x86_registers(seed: u32) -> X86State {
    let value = |index: u32| seed << 16 | 0x1100 | index;
    let mut xsave = registers(u64::from(seed)).xsave;
    xsave.truncate(832);
    X86State {
        eax: value(1),
        ebx: value(2),
        ecx: value(3),
        edx: value(4),
        esi: value(5),
        edi: value(6),
        ebp: value(7),
        esp: value(8),
        eip: value(9),
        eflags: 0x0001_0246,
        cs: 0x23,
        ss: 0x2b,
        ds: 0x2c,
        es: 0x2d,
        fs: 0x53,
        gs: 0x2e,
        fsave: (1..=108).collect(),
        xsave,
        debug: Some(DebugRegisters { dr0_3: [0xd0, 0xd1, 0xd2, 0xd3], dr6: 0xffff_0ff0, dr7: 0x401 }),
    }
}

pub fn x86_thread(id: u32) -> Thread {
    thread_with(id, CpuState::X86(Box::new(x86_registers(id))))
}

pub fn amd64_thread(id: u32) -> Thread {
    thread_with(id, CpuState::Amd64(Box::new(registers(u64::from(id)))))
}

pub fn arm64_thread(id: u32) -> Thread {
    let state: Arm64State = crate::apple::arm64_registers(u64::from(id));
    thread_with(id, CpuState::Arm64(Box::new(state)))
}

fn thread_with(id: u32, state: CpuState) -> Thread {
    let mut thread = Thread::new(id);
    thread.cpu = Some(state);
    thread.thread_pointer = Some(TEB);
    thread
}

pub fn windows_thread(id: u32) -> WindowsThread {
    WindowsThread {
        id,
        suspend_count: 2,
        priority_class: 0x20,
        start_address: Some(0x7ff6_0000_1000),
        native: None,
    }
}
