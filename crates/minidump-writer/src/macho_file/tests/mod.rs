//! Cores of our own encoder, and hand-made ones as LLDB and Apple's kernel write them, are read back.

mod foreign;
mod hand_made;
mod hostile;
mod round_trip;

use crate::convert::{ConvertError, Input, Source, convert, read as read_dump};
use crate::snapshot::cpu::{Amd64State, Arm64State, Arm64Vector, DebugRegisters};
use crate::snapshot::{
    AppleFacts, AppleThread, BufferSource, Cpu, CpuState, CrashInfo, Exception, FaultState, FileVersion,
    Handle, HandleKind, MachImage, MachSegment, MemoryPlan, MemorySource as _, Module, ModuleId,
    OperatingSystem, PlannedRange, Process, Protection, Purpose, Region, RegionKind, SharedCache, Snapshot,
    SoftError, Stage, System, Thread, ThreadStack, ThreadTimes,
};
use crate::{DumpOptions, DumpReport, Format};
use minidump_formats::macho_core::{MachoCoreOptions, layout};

const CRASHED: u32 = 0x202;
const STACK: u64 = 0x1_6f00_0000;
const CODE: u64 = 0x1_0000_0000;

fn bytes_at(address: u64, size: u64) -> Vec<u8> {
    (address..address + size).map(|address| (address ^ address >> 8).to_le_bytes()[0] | 1).collect()
}

fn arm64(seed: u64) -> CpuState {
    let vector = Arm64Vector { v: [[7; 16]; 32], fpsr: 1, fpcr: 2 };
    CpuState::Arm64(Box::new(Arm64State {
        x: std::array::from_fn(|index| seed << 32 | index as u64),
        fp: STACK + 0x140,
        lr: CODE + 0x100,
        sp: STACK + 0x100,
        pc: CODE + 0x40,
        cpsr: 0x6000_1000,
        vector: Some(Box::new(vector)),
    }))
}

fn amd64(seed: u64) -> CpuState {
    let xsave: Vec<u8> = (0..832_u32).map(|index| (index % 251) as u8).collect();
    let debug = Some(DebugRegisters { dr0_3: [1, 2, 3, 4], dr6: 5, dr7: 6 });
    let word = |index: u64| seed << 32 | index;
    CpuState::Amd64(Box::new(Amd64State {
        rax: word(0),
        rbx: word(1),
        rcx: word(2),
        rdx: word(3),
        rsi: word(4),
        rdi: word(5),
        rbp: word(6),
        rsp: STACK + 0x100,
        r8: word(8),
        r9: word(9),
        r10: word(10),
        r11: word(11),
        r12: word(12),
        r13: word(13),
        r14: word(14),
        r15: word(15),
        rip: CODE + 0x40,
        rflags: 0x246,
        cs: 0x2b,
        ss: 0x23,
        ds: 1,
        es: 2,
        fs: 3,
        gs: 4,
        fs_base: word(18),
        gs_base: word(19),
        orig_rax: u64::MAX,
        xsave,
        debug,
    }))
}

fn thread(id: u32, cpu: Option<CpuState>) -> Thread {
    let fault = cpu.as_ref().map(|_| FaultState { address: 16, syndrome: 0x9200_0046, number: 3, cpu: 0 });
    let mut thread = Thread::new(id);
    thread.cpu = cpu;
    thread.name = Some(b"no\xffutf8".to_vec());
    thread.state = Some('R');
    thread.priority = Some(31);
    thread.affinity = Some(3);
    thread.times = Some(ThreadTimes { start_us: 1, user_us: 2, kernel_us: 3 });
    thread.thread_pointer = Some(0x1_6f00_2000);
    thread.apple = Some(Box::new(AppleThread {
        id: 0x7_0000_0000 | u64::from(id),
        handle: 0x1_6f00_2000,
        dispatch_queue: Some(b"com.apple.main-thread".to_vec()),
        suspend_count: 1,
        fault,
    }));
    thread
}

fn facts(cpu_type: u32) -> AppleFacts {
    let name = *b"__TEXT\0\0\0\0\0\0\0\0\0\0";
    let protection = Protection::READ | Protection::EXECUTE;
    AppleFacts {
        cpu_type,
        cpu_subtype: 2,
        os_build: "23F79".into(),
        address_bits: Some(47),
        dyld_all_image_infos: Some(0x1000),
        dyld_version: Some(18),
        dyld_error: Some(b"Library not loaded".to_vec()),
        shared_cache: Some(SharedCache { uuid: [0x11; 16], base: 2, slide: 3 }),
        images: vec![MachImage {
            base: CODE,
            slide: 0,
            file_type: 2,
            cpu_subtype: 2,
            header_size: 0x800,
            segments: vec![MachSegment { name, address: CODE, size: 0x4000, protection }],
            executing: true,
        }],
        crash_info: vec![CrashInfo {
            module_path: b"/usr/lib/libc".to_vec(),
            version: 5,
            thread: 1,
            dialog_mode: 2,
            abort_cause: Some(3),
            message: b"abort() called".to_vec(),
            ..CrashInfo::default()
        }],
        boot_args: Some("-v".into()),
        bundle_version: Some("1.2".into()),
    }
}

fn region(start: u64, end: u64, protection: Protection, name: &[u8]) -> Region {
    Region {
        start,
        end,
        protection,
        shared: false,
        kind: if name.is_empty() { RegionKind::Anonymous } else { RegionKind::File },
        dont_dump: false,
        offset: 0,
        name: name.to_vec(),
    }
}

fn system(cpu: Cpu) -> System {
    System {
        os: OperatingSystem::MacOs,
        version: (14, 5, 0),
        description: "Darwin 23.5.0".into(),
        cpu,
        cpu_count: 8,
        cpu_max_mhz: None,
        page_size: 0x4000,
        build: "test".into(),
    }
}

fn of_amd64() -> Cpu {
    Cpu::Amd64 {
        vendor: *b"GenuineIntel",
        version_information: 1,
        feature_information: 2,
        extended_features: 3,
        xsave: vec![],
    }
}

/// A process with every fact set, of which the second thread crashed, the third has but two registers, and the fourth
/// none.
fn crashed(is_arm64: bool) -> Snapshot {
    let process = Process {
        pid: 100,
        parent_pid: Some(1),
        uid: Some(501),
        executable: Some(b"/bin/app".to_vec()),
        start_time_us: Some(1),
        user_time_us: Some(2),
        kernel_time_us: Some(3),
    };
    let cpu = |seed| if is_arm64 { arm64(seed) } else { amd64(seed) };
    let mut snapshot = Snapshot::new(process, system(if is_arm64 { Cpu::Arm64 } else { of_amd64() }));
    snapshot.captured_at_us = 1_700_000_100_000_000;
    let mut pointers = thread(0x203, None);
    pointers.fallback_sp_ip = Some((STACK + 0x200, CODE));
    snapshot.threads =
        vec![thread(CRASHED, Some(cpu(2))), thread(0x201, Some(cpu(1))), pointers, thread(0x204, None)];
    snapshot.blamed_thread = Some(CRASHED);
    snapshot.exception =
        Some(Exception { thread: CRASHED, code: 1, flags: 1, address: 16, parameters: vec![1, 1, 16] });
    let mut main = region(CODE, CODE + 0x4000, Protection::READ | Protection::EXECUTE, b"/bin/app");
    (main.shared, main.offset) = (true, 0x4000);
    let mut stack = region(STACK, STACK + 0x4000, Protection::READ | Protection::WRITE, b"");
    (stack.kind, stack.dont_dump) = (RegionKind::Stack, true);
    snapshot.regions = vec![main, stack];
    snapshot.modules = vec![Module {
        base: CODE,
        size: 0x4000,
        path: b"/bin/app".to_vec(),
        soname: Some("@rpath/app".into()),
        version: Some(FileVersion { major: 1, minor: 2, patch: 3, build: 4 }),
        id: Some(ModuleId::Uuid([9; 16])),
        is_main: true,
        deleted: true,
    }];
    snapshot.modules.push(Module {
        base: CODE + 0x10_0000,
        path: b"/usr/lib/libA.dylib".to_vec(),
        soname: Some("/usr/lib/libA.dylib".into()),
        is_main: false,
        deleted: false,
        ..snapshot.modules[0].clone()
    });
    let handle = Handle {
        value: 3,
        kind: HandleKind::File,
        target: b"/tmp/x".to_vec(),
        mode: Some(1),
        open_flags: Some(2),
    };
    snapshot.handles = vec![handle];
    snapshot.annotations = vec![("version".into(), "1.2".into())];
    snapshot.soft_errors = vec![SoftError::new(Stage::Handles, "no handles")];
    snapshot.apple = Some(facts(if is_arm64 { 0x0100_000c } else { 0x0100_0007 }));
    snapshot
}

/// The plan that holds part of the stack and eight bytes of code, and its memory.
fn memory() -> (MemoryPlan, BufferSource) {
    let stack = PlannedRange { start: STACK + 0x80, size: 0x1000, purpose: Purpose::BlamedStack };
    let code = PlannedRange { start: CODE + 0xfc, size: 8, purpose: Purpose::Code };
    let mut source = BufferSource::new();
    for range in [stack, code] {
        assert!(source.insert(range.start, bytes_at(range.start, range.size)));
    }
    let stacks = vec![ThreadStack { thread: CRASHED, start: stack.start, size: stack.size }];
    (MemoryPlan::from_ranges(vec![stack, code], stacks), source)
}

fn core_of(snapshot: &Snapshot) -> Vec<u8> {
    let (plan, source) = memory();
    let mut bytes = Vec::new();
    layout(snapshot, &plan, &MachoCoreOptions::default()).unwrap().write(&source, &mut bytes).unwrap();
    bytes
}

fn read_back(bytes: &[u8]) -> Source {
    read_dump(Input::Stream(&mut &*bytes), &DumpOptions::default()).unwrap()
}

fn memory_at(source: &Source, address: u64, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    (source.memory.read(address, &mut bytes).done == size).then_some(bytes)
}

fn converted(bytes: &[u8], format: Option<Format>) -> Result<(Vec<u8>, DumpReport), ConvertError> {
    let mut output = Vec::new();
    let report = convert(Input::Stream(&mut &*bytes), format, &DumpOptions::default(), &mut output)?;
    assert_eq!(report.bytes, output.len() as u64);
    Ok((output, report))
}
