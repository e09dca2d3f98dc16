//! Snapshots of Mach tasks become minidumps and are read back.

use super::*;
use crate::convert::testing::empty_snapshot;
use crate::convert::{Input, InputFile};
use crate::snapshot::cpu::{Amd64State, Arm64State, Arm64Vector};
use crate::snapshot::{
    AppleFacts, AppleThread, BufferSource, Cpu, CpuState, CrashInfo, Exception, FaultState, FileVersion,
    MachImage, MachSegment, MemoryPlan, MemorySource as _, Module, ModuleId, PlannedRange, Protection,
    Purpose, Region, RegionKind, SharedCache, Thread, ThreadStack, ThreadTimes,
};
use minidump_formats::minidump::{Arm64Context, LayoutOptions, layout};
use proptest::prelude::*;

const STACK: u64 = 0x1_6fe0_0000;
const STACK_SIZE: u64 = 0x1000;

fn arm64(seed: u64) -> CpuState {
    let value = |index: u64| seed << 40 | index;
    CpuState::Arm64(Box::new(Arm64State {
        x: std::array::from_fn(|index| value(index as u64)),
        fp: value(29),
        lr: 0x0042_0001_0000_4000 | seed,
        sp: STACK + 0x100,
        pc: 0x1_0000_4000 | seed,
        cpsr: 0x6000_1000,
        vector: Some(Box::new(Arm64Vector { v: [[7; 16]; 32], fpsr: 1, fpcr: 2 })),
    }))
}

fn amd64(seed: u64) -> CpuState {
    CpuState::Amd64(Box::new(Amd64State {
        rax: seed,
        rbx: 2,
        rbp: STACK + 0x200,
        rsp: STACK + 0x100,
        r15: 15,
        rip: 0x1_0000_4000,
        rflags: 0x246,
        cs: 0x2b,
        orig_rax: u64::MAX,
        xsave: vec![0x5a; 512],
        ..Amd64State::default()
    }))
}

fn thread(id: u32, cpu: CpuState) -> Thread {
    let mut thread = Thread::new(id);
    thread.cpu = Some(cpu);
    thread.priority = Some(31);
    thread.name = Some("worker \u{1f980}".into());
    thread.times = Some(ThreadTimes { start_us: 1_700_000_000_000_000, user_us: 5, kernel_us: 6 });
    thread.thread_pointer = Some(0x1_6fe8_7000);
    thread.apple = Some(Box::new(AppleThread {
        id: 0x1_0000_0000 | u64::from(id),
        handle: 0x1_6fe8_7000,
        dispatch_queue: Some(b"com.example.queue".to_vec()),
        suspend_count: 1,
        fault: Some(FaultState { address: 0x10, syndrome: 0x9200_0046, number: 1, cpu: 2 }),
    }));
    thread
}

fn module(base: u64, path: &str, file_type: u32) -> (Module, MachImage) {
    let is_library = file_type == 6;
    let module = Module {
        base,
        size: 0x8000,
        path: path.as_bytes().to_vec(),
        soname: is_library.then(|| path.to_owned()),
        version: is_library.then_some(FileVersion { major: 1336, minor: 61, patch: 1, build: 0 }),
        id: Some(ModuleId::Uuid(*b"0123456789abcdef")),
        is_main: file_type == 2,
        deleted: false,
    };
    let segment = MachSegment {
        name: *b"__TEXT\0\0\0\0\0\0\0\0\0\0",
        address: base,
        size: 0x8000,
        protection: Protection::READ | Protection::EXECUTE,
    };
    let segments = vec![segment];
    let image = MachImage {
        base,
        slide: 0x4000,
        file_type,
        cpu_subtype: 2,
        header_size: 0x400,
        segments,
        executing: true,
    };
    (module, image)
}

fn facts(images: Vec<MachImage>) -> AppleFacts {
    AppleFacts {
        cpu_type: 0x0100_000c,
        cpu_subtype: 2,
        os_build: "23F79".into(),
        address_bits: Some(47),
        dyld_all_image_infos: Some(0x2_0000_0000),
        dyld_version: Some(18),
        dyld_error: Some(b"Library not loaded".to_vec()),
        shared_cache: Some(SharedCache { uuid: [9; 16], base: 0x1_8000_0000, slide: 0x4000 }),
        images,
        crash_info: vec![CrashInfo {
            module_path: b"/usr/lib/libc.dylib".to_vec(),
            version: 5,
            abort_cause: Some(3),
            message: b"abort() called".to_vec(),
            ..CrashInfo::default()
        }],
        boot_args: Some("keepsyms=1".into()),
        bundle_version: Some("3.1".into()),
    }
}

/// A crashed Mach task, of which a minidump of ours keeps all.
fn crashed(cpu: Cpu, state: fn(u64) -> CpuState) -> Snapshot {
    let mut snapshot = empty_snapshot();
    snapshot.captured_at_us = 1_700_000_001_123_456;
    let system = &mut snapshot.system;
    system.os = OperatingSystem::MacOs;
    (system.version, system.description) = ((14, 5, 1), "Darwin 23.5.0".into());
    system.page_size = if cpu == Cpu::Arm64 { 16384 } else { 4096 };
    system.cpu = cpu;
    let process = &mut snapshot.process;
    (process.parent_pid, process.uid, process.start_time_us) =
        (Some(1), Some(501), Some(1_699_999_999_000_001));
    process.executable = Some(b"/Applications/A.app/Contents/MacOS/A".to_vec());
    snapshot.threads =
        vec![thread(7, state(7)), thread(8, state(8)), Thread { priority: Some(0), ..Thread::new(9) }];
    snapshot.blamed_thread = Some(7);
    let parameters = vec![10, 0x0b10_0001, 0x10];
    snapshot.exception = Some(Exception { thread: 7, code: 1, flags: 1, address: 0x10, parameters });
    let path = "/Applications/A.app/Contents/MacOS/A";
    let (modules, images) =
        [module(0x1_0000_0000, path, 2), module(0x1_8000_0000, "/usr/lib/a.dylib", 6)].into_iter().unzip();
    snapshot.modules = modules;
    snapshot.apple = Some(facts(images));
    snapshot.regions = vec![Region {
        start: STACK,
        end: STACK + STACK_SIZE,
        protection: Protection::READ | Protection::WRITE,
        shared: false,
        kind: RegionKind::Stack,
        dont_dump: false,
        offset: 0,
        name: b"stack".to_vec(),
    }];
    snapshot.annotations = vec![("key".into(), "value".into())];
    snapshot.soft_errors = vec![SoftError::new(Stage::Memory, "one page gone")];
    snapshot
}

fn intel() -> Cpu {
    let mut cpu = empty_snapshot().system.cpu;
    if let Cpu::Amd64 { xsave, .. } = &mut cpu {
        xsave.clear();
    }
    cpu
}

fn encoded(snapshot: &Snapshot, arm64_context: Arm64Context) -> Vec<u8> {
    let stack = ThreadStack { thread: 7, start: STACK, size: STACK_SIZE };
    let range = PlannedRange { start: STACK, size: STACK_SIZE, purpose: Purpose::BlamedStack };
    let plan = MemoryPlan::from_ranges(vec![range], vec![stack]);
    let mut memory = BufferSource::new();
    assert!(memory.insert(STACK, vec![0xab; 0x1000]));
    let options = LayoutOptions { arm64_context, ..LayoutOptions::default() };
    let mut bytes = Vec::new();
    layout(snapshot, &plan, &options).unwrap().write(&memory, &mut bytes).unwrap();
    bytes
}

fn read_back(bytes: &[u8]) -> Result<Source, ConvertError> {
    read(InputFile::open(Input::Stream(&mut &*bytes)).unwrap())
}

#[test]
fn a_mach_task_comes_back_whole() {
    for snapshot in [crashed(Cpu::Arm64, arm64), crashed(intel(), amd64)] {
        for pair in [Arm64Context::Breakpad, Arm64Context::Microsoft] {
            let source = read_back(&encoded(&snapshot, pair)).unwrap();
            assert_eq!(source.snapshot, snapshot);
            let mut bytes = [0; 16];
            assert_eq!(source.memory.read(STACK + 0x10, &mut bytes).done, 16);
            assert_eq!(bytes, [0xab; 16]);
        }
    }
}

#[test]
fn a_dump_of_windows_is_refused_by_name() {
    for mut snapshot in [crashed(Cpu::Arm64, arm64), crashed(intel(), amd64)] {
        snapshot.system.os = OperatingSystem::Windows;
        let error = read_back(&encoded(&snapshot, Arm64Context::Microsoft)).map(|_| ()).unwrap_err();
        let expected = "this dump is of Windows; only dumps of 64-bit programs of Linux on x86 and of macOS can be \
                        converted";
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn kinds_of_resource_and_guard_come_back() {
    let mut snapshot = crashed(Cpu::Arm64, arm64);
    for (code, flags, upper) in [(11, 0x193d_u32, 0x2400_0000_u64), (12, 5, 0x4000_0001)] {
        let parameters = vec![u64::from(code), upper << 32 | u64::from(flags), 7];
        snapshot.exception = Some(Exception { thread: 7, code, flags, address: 0, parameters });
        let source = read_back(&encoded(&snapshot, Arm64Context::Breakpad)).unwrap();
        assert_eq!(source.snapshot.exception, snapshot.exception);
    }
}

/// Where the only stream of this type, or what it points to, can be changed.
fn stream_of(bytes: &[u8], kind: u32) -> usize {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let entry = (0..word(8)).map(|index| word(12) + 12 * index).find(|at| word(*at) == kind as usize);
    word(entry.unwrap() + 8)
}

/// The dump without our own streams, as other writers make them.
fn foreign(mut bytes: Vec<u8>) -> Vec<u8> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (count, start) = (word(&bytes, 8) as usize, word(&bytes, 12) as usize);
    for index in 0..count {
        let at = start + 12 * index;
        if word(&bytes, at) >> 16 == 0x4d44 {
            bytes[at..at + 4].fill(0);
        }
    }
    bytes
}

#[test]
fn a_dump_of_another_writer_tells_what_it_has() {
    let mut snapshot = crashed(Cpu::Arm64, arm64);
    snapshot.process.executable = None;
    let bytes = foreign(encoded(&snapshot, Arm64Context::Microsoft));
    let read = read_back(&bytes).unwrap().snapshot;
    assert_eq!((read.system.os, read.system.version), (OperatingSystem::MacOs, (14, 5, 1)));
    assert_eq!((&read.system.cpu, read.system.page_size), (&Cpu::Arm64, 16384));
    assert_eq!(read.threads[0].cpu, snapshot.threads[0].cpu);
    assert_eq!(read.threads[0].apple, None);
    assert_eq!((&read.exception, read.blamed_thread), (&snapshot.exception, Some(7)));
    let facts = read.apple.unwrap();
    assert_eq!((facts.os_build.as_str(), facts.address_bits), ("23F79", Some(47)));
    assert_eq!(facts.boot_args.as_deref(), Some("keepsyms=1"));
    assert_eq!(facts.crash_info, snapshot.apple.unwrap().crash_info);
    let ids: Vec<_> =
        read.modules.iter().map(|module| (module.is_main, module.id.clone(), module.version)).collect();
    let expected: Vec<_> =
        snapshot.modules.iter().map(|module| (module.is_main, module.id.clone(), module.version)).collect();
    assert_eq!(ids, expected);
    assert_eq!(read.process.executable, Some(snapshot.modules[0].path.clone()));
    assert_eq!(read.linux, None);
}

#[test]
fn contexts_that_claim_nothing_are_read_as_breakpad_meant_them() {
    let snapshot = crashed(intel(), amd64);
    let mut bytes = foreign(encoded(&snapshot, Arm64Context::Breakpad));
    let (list, exception) = (stream_of(&bytes, 3), stream_of(&bytes, 6));
    for place in [list + 4 + 44, list + 4 + 48 + 44, exception + 164] {
        let context = u32::from_le_bytes(bytes[place..place + 4].try_into().unwrap()) as usize;
        bytes[context + 48..context + 52].copy_from_slice(&0x0010_0000_u32.to_le_bytes());
    }
    let read = read_back(&bytes).unwrap().snapshot;
    let Some(CpuState::Amd64(state)) = &read.threads[1].cpu else { panic!("{:?}", read.threads[1]) };
    assert_eq!((state.rax, state.rip, state.rsp, state.r15), (8, 0x1_0000_4000, STACK + 0x100, 15));
    assert!(state.xsave.is_empty());
}

#[test]
fn a_record_that_does_not_match_the_architecture_is_known_by_its_flags() {
    let snapshot = crashed(Cpu::Arm64, arm64);
    for (pair, other) in [(Arm64Context::Breakpad, 12_u16), (Arm64Context::Microsoft, 0x8003)] {
        let mut bytes = encoded(&snapshot, pair);
        let system = stream_of(&bytes, 7);
        bytes[system..system + 2].copy_from_slice(&other.to_le_bytes());
        assert_eq!(read_back(&bytes).unwrap().snapshot.threads[0].cpu, snapshot.threads[0].cpu);
    }
}

#[test]
fn versions_of_crashpad_are_known_by_their_upper_half() {
    let snapshot = crashed(Cpu::Arm64, arm64);
    let mut bytes = foreign(encoded(&snapshot, Arm64Context::Breakpad));
    let version = stream_of(&bytes, 4) + 4 + 108 + 32;
    bytes[version..version + 4].copy_from_slice(&0x0538_003d_u32.to_le_bytes());
    bytes[version + 4..version + 8].copy_from_slice(&(1_u32 << 16).to_le_bytes());
    let read = read_back(&bytes).unwrap().snapshot;
    assert_eq!(read.modules[1].version, snapshot.modules[1].version);
}

#[test]
fn a_dump_that_was_asked_for_has_a_thread_to_blame_and_no_exception() {
    let mut snapshot = crashed(Cpu::Arm64, arm64);
    snapshot.exception = None;
    snapshot.threads.swap(0, 1);
    snapshot.blamed_thread = Some(8);
    for code in [0xffff_ffff_u32, 0x4350_7378] {
        let mut bytes = encoded(&snapshot, Arm64Context::Breakpad);
        let exception = stream_of(&bytes, 6);
        bytes[exception + 8..exception + 12].copy_from_slice(&code.to_le_bytes());
        let read = read_back(&bytes).unwrap().snapshot;
        assert_eq!((read.exception, read.blamed_thread, read.threads[0].id), (None, Some(8), 8));
    }
}

#[test]
fn every_cut_is_survived() {
    let whole = encoded(&crashed(Cpu::Arm64, arm64), Arm64Context::Breakpad);
    for size in (0..whole.len()).step_by(37) {
        let _ = read_back(&whole[..size]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damage_is_survived(
        is_intel in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let snapshot = if is_intel { crashed(intel(), amd64) } else { crashed(Cpu::Arm64, arm64) };
        let mut bytes = encoded(&snapshot, Arm64Context::Microsoft);
        for (index, value) in damage {
            let end = bytes.len();
            bytes[index.index(end)] = value;
        }
        let _ = read_back(&bytes);
    }
}
