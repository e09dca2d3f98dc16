use super::super::model::{Access, Trust};
use super::super::{read_guarded, render};
use super::*;
use minidump_writer::formats::minidump::{LayoutOptions, layout};
use minidump_writer::snapshot::cpu::{Amd64State, Arm64State, X86State};
use minidump_writer::snapshot::{
    BufferSource, Cpu, CpuState, Exception, MemoryPlan, Module, OperatingSystem, PeImage, PlannedRange,
    Process, Purpose, Snapshot, System, Thread, ThreadStack, TimeZone, UnloadedModule as Unloaded,
    WindowsFacts, WindowsHandle, WindowsRegion, WindowsThread,
};

const APP: u64 = 0x40_0000;
const NTDLL: u64 = 0x7700_0000;
const GONE: u64 = 0x6a00_0000;
const STACKS: [u64; 2] = [0x19_f000, 0x29_f000];
const STACK_SIZE: u64 = 0x200;
const TEB: u64 = 0x30_0000;
const GUID: [u8; 16] = *b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10";

fn x86() -> Cpu {
    Cpu::X86 {
        vendor: *b"GenuineIntel",
        version_information: 0x0005_06e3,
        feature_information: 0,
        extended_features: 0,
        xsave: vec![],
    }
}

fn amd64() -> Cpu {
    Cpu::Amd64 {
        vendor: *b"GenuineIntel",
        version_information: 0x0005_06e3,
        feature_information: 0,
        extended_features: 0,
        xsave: vec![],
    }
}

fn state(cpu: &Cpu, ip: u64, sp: u64, fp: u64) -> CpuState {
    let narrow = |value: u64| u32::try_from(value).unwrap();
    match cpu {
        Cpu::X86 { .. } => CpuState::X86(Box::new(X86State {
            eax: 0xdead_beef,
            eip: narrow(ip),
            esp: narrow(sp),
            ebp: narrow(fp),
            ..X86State::default()
        })),
        Cpu::Arm64 => {
            let arm64 = Arm64State { pc: ip, sp, fp, lr: APP + 0x3010, ..Arm64State::default() };
            CpuState::Arm64(Box::new(arm64))
        }
        _ => {
            let amd64 = Amd64State { rip: ip, rsp: sp, rbp: fp, rax: 0xdead_beef, ..Amd64State::default() };
            CpuState::Amd64(Box::new(amd64))
        }
    }
}

fn module(base: u64, size: u64, path: &str) -> Module {
    Module {
        base,
        size,
        path: path.as_bytes().to_vec(),
        soname: None,
        version: None,
        id: None,
        is_main: base == APP,
        deleted: false,
    }
}

/// Thread 4 crashed in the program, called from a module that is gone; thread 8 waits in a system call.
fn snapshot(cpu: Cpu) -> Snapshot {
    let system = System {
        os: OperatingSystem::Windows,
        version: (10, 0, 19045),
        description: "Windows".into(),
        cpu,
        cpu_count: 4,
        cpu_max_mhz: None,
        page_size: 4096,
        build: "test".into(),
    };
    let mut snapshot = Snapshot::new(Process { pid: 7, ..Process::default() }, system);
    let cpu = &snapshot.system.cpu;
    let thread = |id: u32, state: CpuState| {
        let mut thread = Thread::new(id);
        thread.cpu = Some(state);
        thread.thread_pointer = Some(TEB + 0x1000 * u64::from(id));
        thread
    };
    snapshot.threads = vec![
        thread(4, state(cpu, APP + 0x1234, STACKS[0], STACKS[0] + 0x20)),
        thread(8, state(cpu, NTDLL + 0x2000, STACKS[1], STACKS[1] + 0x40)),
    ];
    snapshot.modules = vec![
        module(APP, 0x1_0000, r"C:\app\app.exe"),
        module(NTDLL, 0x1_0000, r"C:\Windows\System32\ntdll.dll"),
    ];
    let parameters = vec![8, 0x10];
    snapshot.exception =
        Some(Exception { thread: 4, code: 0xc000_0005, flags: 1, address: APP + 0x1234, parameters });
    snapshot.windows = Some(facts());
    snapshot
}

fn facts() -> WindowsFacts {
    let image = |base, name: &str| PeImage {
        base,
        time_stamp: 0x6543_ABCD,
        version_info: Some([0xfeef_04bd, 0x1_0000, 0xa_0000, 0x4a65_0f1a, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        code_view: [b"RSDS".as_slice(), &GUID, &[7, 0, 0, 0], name.as_bytes(), b"\0"].concat(),
        ..PeImage::default()
    };
    let handle = |value, type_name: &str| WindowsHandle {
        value,
        type_name: type_name.into(),
        ..WindowsHandle::default()
    };
    WindowsFacts {
        service_pack: "Service Pack 9".into(),
        integrity_level: Some(0x3000),
        execute_flags: Some(0x4d),
        time_zone: Some(TimeZone { standard_name: "GMT \u{1b}[31m".into(), ..TimeZone::default() }),
        images: vec![image(APP, r"D:\o\app.pdb"), image(NTDLL, "ntdll.pdb")],
        unloaded_modules: vec![Unloaded {
            base: GONE,
            size: 0x5000,
            check_sum: 1,
            time_stamp: 0x5000_00AB,
            name: "gone.dll".into(),
        }],
        handles: vec![handle(4, "File"), handle(8, "Event"), handle(12, "File"), handle(16, "")],
        regions: vec![region(APP, 0x1_0000, 0x20), region(NTDLL, 0x1_0000, 0x20), region(GONE, 0x5000, 0x20)],
        threads: vec![WindowsThread {
            id: 8,
            suspend_count: 2,
            priority_class: 0x20,
            start_address: Some(APP + 0x3000),
            native: None,
        }],
        ..WindowsFacts::default()
    }
}

fn region(base: u64, size: u64, protection: u32) -> WindowsRegion {
    WindowsRegion { base, size, protection, state: 0x1000, kind: 0x100_0000, ..WindowsRegion::default() }
}

/// The stack of thread 4 leads by its frame pointer into the module that is gone, and from there into the program; on
/// that of thread 8 lies what a system call's function returns to.
fn stack(thread: usize, pointer: usize) -> Vec<u8> {
    let mut words = vec![0_u64; 0x200 / pointer];
    let mut put = |offset: usize, value: u64| words[offset / pointer] = value;
    if thread == 0 {
        put(0x20, STACKS[0] + 0x60);
        put(0x20 + pointer, GONE + 0x1111);
        put(0x60, STACKS[0] + 0xa0);
        put(0x60 + pointer, APP + 0x2222);
    } else {
        put(0, APP + 0x3010);
        put(0x40, STACKS[1] + 0x80);
        put(0x40 + pointer, APP + 0x4010);
    }
    words.into_iter().flat_map(|word| word.to_le_bytes().into_iter().take(pointer)).collect()
}

fn dump(snapshot: &Snapshot) -> Vec<u8> {
    let pointer = snapshot.system.cpu.pointer_size();
    let mut memory = BufferSource::new();
    for (index, start) in STACKS.into_iter().enumerate() {
        assert!(memory.insert(start, stack(index, pointer)));
    }
    let ret = match snapshot.system.cpu {
        Cpu::Arm64 => 0xd65f_03c0_u32.to_le_bytes(),
        _ => [0xc3, 0, 0, 0],
    };
    assert!(memory.insert(NTDLL + 0x2000, ret.to_vec()));
    let mut teb = vec![0; 0x100];
    teb[13 * pointer] = 5;
    assert!(memory.insert(TEB + 0x8000, teb));
    let mut ranges =
        STACKS.map(|start| PlannedRange { start, size: STACK_SIZE, purpose: Purpose::Stack }).to_vec();
    ranges.push(PlannedRange { start: NTDLL + 0x2000, size: 4, purpose: Purpose::Code });
    ranges.push(PlannedRange { start: TEB + 0x8000, size: 0x100, purpose: Purpose::Loader });
    let stacks = [(4, STACKS[0]), (8, STACKS[1])].map(|(thread, start)| ThreadStack {
        thread,
        start,
        size: STACK_SIZE,
    });
    let plan = MemoryPlan::from_ranges(ranges, stacks.to_vec());
    let mut bytes = Vec::new();
    layout(snapshot, &plan, &LayoutOptions::default()).unwrap().write(&memory, &mut bytes).unwrap();
    bytes
}

fn shown(bytes: &[u8]) -> Dump {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    read_guarded(file.path()).unwrap()
}

#[test]
fn every_fact_of_a_process_of_windows_is_read() {
    for cpu in [x86(), amd64(), Cpu::Arm64] {
        let dump = shown(&dump(&snapshot(cpu)));
        assert_eq!(dump.warnings, [""; 0]);
        assert!(dump.crash.crashed);
        assert_eq!(dump.crash.reason.as_deref(), Some("EXCEPTION_ACCESS_VIOLATION_EXEC"));
        assert_eq!((dump.crash.address, dump.crash.access), (Some(Address(0x10)), Some(Access::Execute)));
        assert_eq!(dump.system.os_version, "10.0.19045 Service Pack 9");
        let windows = dump.windows.unwrap();
        let expected = ExceptionRecord {
            code: Address(0xc000_0005),
            flags: Address(1),
            address: Address(APP + 0x1234),
            parameters: vec![Address(8), Address(0x10)],
        };
        assert_eq!(windows.exception, Some(expected));
        assert_eq!((windows.integrity_level, windows.execute_flags), (Some(0x3000), Some(0x4d)));
        let handles = windows.handles.unwrap();
        let types: Vec<_> = handles.types.iter().map(|kind| (kind.name.as_deref(), kind.count)).collect();
        assert_eq!((handles.count, types), (4, vec![(Some("File"), 2), (None, 1), (Some("Event"), 1)]));
        let gone = &windows.unloaded_modules[0];
        assert_eq!((gone.base, gone.size, gone.name.as_str()), (Address(GONE), 0x5000, "gone.dll"));
        assert_eq!(gone.code_id, "500000AB5000");
        let waiting = dump.threads[1].windows.as_ref().unwrap();
        assert_eq!((waiting.teb, waiting.last_error), (Some(Address(TEB + 0x8000)), Some(5)));
        assert_eq!((waiting.suspend_count, waiting.start_address), (2, Some(Address(APP + 0x3000))));
    }
}

#[test]
fn modules_tell_both_ids_and_the_version() {
    let dump = shown(&dump(&snapshot(amd64())));
    let app = &dump.modules[0];
    assert_eq!(app.path, r"C:\app\app.exe");
    assert_eq!(app.id.as_deref(), Some("0403020106050807090A0B0C0D0E0F107"));
    assert_eq!(app.code_id.as_deref(), Some("6543ABCD10000"));
    assert_eq!(app.debug_file.as_deref(), Some(r"D:\o\app.pdb"));
    assert_eq!(app.version.as_deref(), Some("10.0.19045.3866"));
    assert_eq!(dump.process.name.as_deref(), Some("app.exe"));
}

#[test]
fn stacks_of_x86_and_x86_64_are_walked_by_the_frame_pointer() {
    for cpu in [x86(), amd64()] {
        let dump = shown(&dump(&snapshot(cpu)));
        let frames = dump.threads[0].frames.iter();
        let frames: Vec<_> = frames
            .map(|frame| (frame.instruction.0, frame.trust, frame.module.as_deref(), frame.unloaded))
            .take(3)
            .collect();
        let expected = [
            (APP + 0x1234, Trust::Context, Some("app.exe"), false),
            (GONE + 0x1110, Trust::FramePointer, Some("gone.dll"), true),
            (APP + 0x2221, Trust::FramePointer, Some("app.exe"), false),
        ];
        assert_eq!(frames, expected);
        assert_eq!(dump.threads[0].frames[1].module_offset, Some(Address(0x1110)));
    }
}

/// Headers and a table of one function, which raises its stack by 0x60 bytes.
fn image_with_a_table() -> Vec<u8> {
    let mut bytes = vec![0; 0x3000];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, b"MZ");
    put(0x3c, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0\x64\x86");
    put(0x98, &0x20b_u16.to_le_bytes());
    put(0x98 + 136, &[0x400_u32, 12].map(u32::to_le_bytes).concat());
    put(0x400, &[0x1000_u32, 0x3000, 0x500].map(u32::to_le_bytes).concat());
    put(0x500, &[1, 4, 1, 0, 4, 0xb2]);
    bytes
}

#[test]
fn a_dump_of_all_memory_tells_callers_by_the_tables_of_its_images() {
    let snapshot = snapshot(amd64());
    let mut memory = BufferSource::new();
    assert!(memory.insert(APP, image_with_a_table()));
    let mut words = vec![0_u64; 0x200 / 8];
    words[0x60 / 8] = APP + 0x2222;
    assert!(memory.insert(STACKS[0], words.into_iter().flat_map(u64::to_le_bytes).collect()));
    let range = |start, size| PlannedRange { start, size, purpose: Purpose::Full };
    let ranges = vec![range(STACKS[0], STACK_SIZE), range(APP, 0x3000)];
    let plan = MemoryPlan::from_ranges(ranges, vec![]);
    let mut bytes = Vec::new();
    layout(&snapshot, &plan, &LayoutOptions::default()).unwrap().write(&memory, &mut bytes).unwrap();
    let dump = shown(&bytes);
    let frames = dump.threads[0].frames.iter().map(|frame| (frame.instruction.0, frame.trust));
    let expected = [(APP + 0x1234, Trust::Context), (APP + 0x2221, Trust::CallFrameInfo)];
    assert_eq!(frames.take(2).collect::<Vec<_>>(), expected);
}

#[test]
fn the_caller_of_a_system_calls_function_is_not_left_out() {
    for cpu in [x86(), amd64(), Cpu::Arm64] {
        let is_arm64 = cpu == Cpu::Arm64;
        let dump = shown(&dump(&snapshot(cpu)));
        let frames: Vec<_> = dump.threads[1].frames.iter().map(|frame| frame.instruction.0).collect();
        let back = if is_arm64 { 4 } else { 1 };
        assert_eq!(frames[..3], [NTDLL + 0x2000, APP + 0x3010 - back, APP + 0x4010 - back]);
    }
}

#[test]
fn registers_of_x86_are_shown() {
    let dump = shown(&dump(&snapshot(x86())));
    let registers = dump.threads[0].registers.as_ref().unwrap();
    let value = |name: &str| registers.iter().find(|register| register.name == name).unwrap().value;
    assert_eq!(value("eax"), Address(0xdead_beef));
    assert_eq!(value("eip"), Address(APP + 0x1234));
    assert_eq!(value("esp"), Address(STACKS[0]));
    assert!(dump.threads[1].registers.is_none());
}

#[test]
fn the_64_bit_registers_of_a_32_bit_program_are_shown_too() {
    let mut snapshot = snapshot(x86());
    let native = Some(state(&amd64(), 0x7ffb_0000_1000, 0x8_f000, 0x8_f100));
    let thread = WindowsThread { id: 4, native, ..WindowsThread::default() };
    snapshot.windows.as_mut().unwrap().threads.insert(0, thread);
    let dump = shown(&dump(&snapshot));
    let native = dump.windows.as_ref().unwrap().native_registers.as_ref().unwrap();
    let value = |name: &str| native.iter().find(|register| register.name == name).unwrap().value;
    assert_eq!((value("rip"), value("rsp")), (Address(0x7ffb_0000_1000), Address(0x8_f000)));
    let text = render::render(&dump);
    assert!(text.contains("64-bit registers of thread 4\n"), "{text}");
    assert!(text.contains("   rip 0x00007ffb00001000"), "{text}");
    assert!(text.contains("   eip 0x00401234"), "{text}");
}

#[test]
fn people_are_told_what_is_special_about_windows() {
    let text = render::render(&shown(&dump(&snapshot(x86()))));
    for line in [
        "crash reason  EXCEPTION_ACCESS_VIOLATION_EXEC at 0x10, on executing, thread 4",
        "exception     0xc0000005, flags 0x1, instruction 0x401234, parameters 0x8 0x10",
        "system        Windows NT 10.0.19045 Service Pack 9, x86, 4 processors, GenuineIntel family 6 model 94 stepping 3",
        "security      integrity high, time zone GMT \\u{1b}[31m",
        "handles       4 handles: 2 File, 1 of unknown type, 1 Event",
        "  8: last error 5, suspended 2 times",
        "  #1   ??  [gone.dll+0x1110 (unloaded), frame pointer]",
        "registers of thread 4",
        "  0x000000400000    0x10000 0403020106050807090A0B0C0D0E0F107 6543ABCD10000 C:\\app\\app.exe 10.0.19045.3866 (not on this machine)",
        "1 module unloaded",
        "  0x00006a000000     0x5000 500000AB5000 gone.dll",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn a_dump_that_nobody_crashed_for_has_a_thread_to_blame() {
    let mut snapshot = snapshot(amd64());
    snapshot.exception = None;
    snapshot.blamed_thread = Some(8);
    let dump = shown(&dump(&snapshot));
    assert_eq!((dump.crash.crashed, dump.crash.thread), (false, Some(8)));
    assert_eq!((dump.threads[0].id, dump.threads[0].blamed), (8, true));
    assert!(render::render(&dump).starts_with("crash reason  dump requested, no crash\n"));
}

#[test]
fn lists_with_any_word_destroyed_are_no_danger() {
    let whole = dump(&snapshot(x86()));
    let values = [0_u32, 1, 0x7fff_ffff, 0xffff_fff0, u32::MAX];
    let end = whole.len().min(9000);
    for (at, value) in (0..end).step_by(4).zip(values.iter().cycle()) {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        if let Ok(dump) = read_guarded(file.path()) {
            render::render(&dump);
        }
    }
}
