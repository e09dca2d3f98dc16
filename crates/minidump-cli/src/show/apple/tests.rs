use super::super::model::{Access, Dump, SymbolsFound, Trust};
use super::super::{read_guarded, render};
use super::mach_o::library;
use super::*;
use minidump_writer::formats::minidump::{Arm64Context, LayoutOptions, layout};
use minidump_writer::snapshot::cpu::{Amd64State, Arm64State};
use minidump_writer::snapshot::{
    BufferSource, CpuState, CrashInfo, Exception, FaultState, FileVersion, MemoryPlan, Module, ModuleId,
    PlannedRange, Purpose, ThreadStack,
};
use std::path::Path;

const LIBRARY: u64 = 0x1_1000_0000;
const KERNEL: u64 = 0x1_8000_0000;
const STACKS: [u64; 2] = [0x1_6fe0_0000, 0x1_7000_0000];
const STACK_SIZE: u64 = 0x200;
const UUID: [u8; 16] = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10";
/// Bits above the address, as pointer authentication sets them.
const SIGNATURE: u64 = 0x0042_0000_0000_0000;

fn cpu_of(is_arm64: bool) -> Cpu {
    if is_arm64 {
        return Cpu::Arm64;
    }
    Cpu::Amd64 {
        vendor: *b"GenuineIntel",
        version_information: 0x0005_06e3,
        feature_information: 0,
        extended_features: 0,
        xsave: vec![],
    }
}

fn module(base: u64, path: &str, version: Option<FileVersion>) -> Module {
    Module {
        base,
        size: 0x4000,
        path: path.as_bytes().to_vec(),
        soname: None,
        version,
        id: Some(ModuleId::Uuid(UUID)),
        is_main: base == LIBRARY,
        deleted: false,
    }
}

/// Thread 1 crashed in the library; thread 2 waits in a system call that the library made.
fn threads(is_arm64: bool) -> Vec<Thread> {
    let thread = |id: u32, sp: u64, fp: u64, ip: u64, lr: u64| {
        let mut thread = Thread::new(id);
        thread.cpu = Some(if is_arm64 {
            CpuState::Arm64(Box::new(Arm64State { sp, fp, lr, pc: ip, ..Arm64State::default() }))
        } else {
            CpuState::Amd64(Box::new(Amd64State { rsp: sp, rbp: fp, rip: ip, ..Amd64State::default() }))
        });
        thread.apple = Some(Box::new(minidump_writer::snapshot::AppleThread {
            id: 0x1_0000_0000 | u64::from(id),
            handle: 0,
            dispatch_queue: Some(format!("queue\u{1b}{id}").into_bytes()),
            suspend_count: id - 1,
            fault: Some(FaultState { address: 0x10, syndrome: 0x9200_0046, number: 14, cpu: 0 }),
        }));
        thread
    };
    let [first, second] = STACKS;
    vec![
        thread(1, first, first, LIBRARY + 0x508, SIGNATURE | (LIBRARY + 0x408)),
        thread(2, second, second + 0x40, KERNEL + 0x108, SIGNATURE | (LIBRARY + 0x408)),
    ]
}

fn facts() -> AppleFacts {
    AppleFacts {
        os_build: "23F79".into(),
        address_bits: Some(47),
        boot_args: Some("keepsyms=1".into()),
        bundle_version: Some("3.1".into()),
        dyld_error: Some(b"Library not loaded: \xff".to_vec()),
        shared_cache: Some(minidump_writer::snapshot::SharedCache { uuid: UUID, base: KERNEL, slide: 0 }),
        crash_info: vec![CrashInfo {
            module_path: b"/usr/lib/libc.dylib".to_vec(),
            version: 4,
            message: b"abort() called\n".to_vec(),
            ..CrashInfo::default()
        }],
        ..AppleFacts::default()
    }
}

/// A stack whose frame records lead from `frame` to a caller at 0x610 of the library, and no further.
fn stack(is_arm64: bool, frame: u64) -> Vec<u8> {
    let mut words = vec![0_u64; 0x200 / 8];
    let signature = if is_arm64 { SIGNATURE } else { 0 };
    let index = usize::try_from(frame / 8).unwrap();
    words[index + 1] = signature | (LIBRARY + 0x610);
    if frame > 0 {
        // What a call without frame left.
        words[0] = LIBRARY + 0x408;
    }
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// What is in front of 0x108 of the kernel's library: the system call's instruction.
fn code(is_arm64: bool) -> Vec<u8> {
    if is_arm64 { SVC_BYTES.to_vec() } else { vec![0x90, 0x90, 0x0f, 0x05] }
}

const SVC_BYTES: [u8; 4] = 0xd400_1001_u32.to_le_bytes();

fn dump(path: &str, is_arm64: bool, pair: Arm64Context, has_code: bool) -> Vec<u8> {
    let mut snapshot = restored_for_tests(is_arm64);
    snapshot.threads = threads(is_arm64);
    let version = FileVersion { major: 10063, minor: 121, patch: 3, build: 0 };
    snapshot.modules =
        vec![module(LIBRARY, path, None), module(KERNEL, "/nowhere/kernel.dylib", Some(version))];
    snapshot.blamed_thread = Some(1);
    let parameters = vec![10, 0x0b10_0001, 0x10];
    snapshot.exception = Some(Exception { thread: 1, code: 1, flags: 1, address: 0x10, parameters });
    snapshot.apple = Some(facts());
    let mut memory = BufferSource::new();
    memory.insert(STACKS[0], stack(is_arm64, 0));
    memory.insert(STACKS[1], stack(is_arm64, 0x40));
    let mut ranges =
        STACKS.map(|start| PlannedRange { start, size: STACK_SIZE, purpose: Purpose::Stack }).to_vec();
    if has_code {
        memory.insert(KERNEL + 0x104, code(is_arm64));
        ranges.push(PlannedRange { start: KERNEL + 0x104, size: 4, purpose: Purpose::Code });
    }
    let stacks =
        STACKS.iter().zip(1..).map(|(start, thread)| ThreadStack { thread, start: *start, size: STACK_SIZE });
    let plan = MemoryPlan::from_ranges(ranges, stacks.collect());
    let options = LayoutOptions { arm64_context: pair, ..LayoutOptions::default() };
    let mut bytes = Vec::new();
    layout(&snapshot, &plan, &options).unwrap().write(&memory, &mut bytes).unwrap();
    bytes
}

fn restored_for_tests(is_arm64: bool) -> Snapshot {
    let system = System {
        os: OperatingSystem::MacOs,
        version: (14, 5, 1),
        description: "Darwin".into(),
        cpu: cpu_of(is_arm64),
        cpu_count: 8,
        cpu_max_mhz: None,
        page_size: 16384,
        build: "test".into(),
    };
    Snapshot::new(Process { pid: 7, ..Process::default() }, system)
}

fn shown(bytes: &[u8]) -> Dump {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    read_guarded(file.path()).unwrap()
}

/// The library as a file, and its path.
fn library_file(directory: &Path) -> String {
    let path = directory.join("libcrash.dylib");
    let functions = [(0x400, "middle"), (0x500, "leaf"), (0x600, "entry")];
    std::fs::write(&path, library(UUID, &functions)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn names(dump: &Dump, thread: usize) -> Vec<(Option<&str>, Trust)> {
    let frames = dump.threads[thread].frames.iter();
    frames.map(|frame| (frame.function.as_deref(), frame.trust)).collect()
}

#[test]
fn every_fact_of_a_mach_task_is_read() {
    for (is_arm64, pair) in
        [(true, Arm64Context::Breakpad), (true, Arm64Context::Microsoft), (false, Arm64Context::Breakpad)]
    {
        let dump = shown(&dump("/nowhere/a", is_arm64, pair, true));
        assert_eq!(dump.warnings, [""; 0]);
        assert_eq!(dump.crash.reason.as_deref(), Some("EXC_BAD_ACCESS / KERN_INVALID_ADDRESS"));
        assert_eq!((dump.crash.thread, dump.crash.address), (Some(1), Some(Address(0x10))));
        assert_eq!(dump.crash.access, Some(Access::Write));
        assert_eq!((dump.system.os.as_str(), dump.system.os_version.as_str()), ("macOS", "14.5.1 23F79"));
        let apple = dump.apple.unwrap();
        assert_eq!(apple.address_mask, Some(Address(0xffff_8000_0000_0000)));
        assert_eq!(apple.boot_args.as_deref(), Some("keepsyms=1"));
        assert_eq!(apple.bundle_version.as_deref(), Some("3.1"));
        assert_eq!(apple.dyld_error.as_deref(), Some("Library not loaded: \u{fffd}"));
        assert_eq!(apple.shared_cache.unwrap().uuid, "01234567-89AB-CDEF-FEDC-BA9876543210");
        assert_eq!(apple.crash_info[0].message.as_deref(), Some("abort() called\n"));
        assert_eq!(
            (apple.crash_info[0].module.as_str(), &apple.crash_info[0].signature),
            ("/usr/lib/libc.dylib", &None)
        );
        let thread = dump.threads[1].apple.as_ref().unwrap();
        assert_eq!((thread.id, thread.suspend_count), (0x1_0000_0002, 1));
        assert_eq!(thread.dispatch_queue.as_deref(), Some("queue\u{1b}2"));
        assert_eq!(dump.modules[0].id.as_deref(), Some("01234567-89AB-CDEF-FEDC-BA9876543210"));
        let versions: Vec<_> = dump.modules.iter().map(|module| module.version.as_deref()).collect();
        assert_eq!(versions, [None, Some("10063.121.3")]);
    }
}

#[test]
fn registers_have_the_names_of_their_architecture() {
    for (is_arm64, name, count) in [(true, "pc", 33), (false, "rip", 17)] {
        let dump = shown(&dump("/nowhere/a", is_arm64, Arm64Context::Breakpad, true));
        let registers = dump.threads[0].registers.as_ref().unwrap();
        assert_eq!(registers.len(), count);
        let found = registers.iter().find(|register| register.name == name).unwrap();
        assert_eq!(found.value, Address(LIBRARY + 0x508));
        assert_eq!(dump.threads[1].registers, None);
    }
}

#[test]
#[cfg_attr(not(unix), ignore = "files of modules are looked for on Unix alone")]
fn functions_are_named_from_the_file_with_the_same_uuid() {
    let directory = tempfile::tempdir().unwrap();
    let path = library_file(directory.path());
    let dump = shown(&dump(&path, true, Arm64Context::Breakpad, true));
    assert_eq!(names(&dump, 0), [(Some("leaf"), Trust::Context), (Some("entry"), Trust::FramePointer)]);
    let frame = &dump.threads[0].frames[1];
    assert_eq!(frame.module_offset, Some(Address(0x60c)));
    assert_eq!(dump.modules[0].symbols, SymbolsFound::Names);
    assert_eq!(dump.modules[1].symbols, SymbolsFound::Missing);
}

#[test]
#[cfg_attr(not(unix), ignore = "files of modules are looked for on Unix alone")]
fn a_file_with_another_uuid_names_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = library_file(directory.path());
    let mut other = UUID;
    other[0] ^= 1;
    std::fs::write(&path, library(other, &[(0x400, "wrong")])).unwrap();
    let dump = shown(&dump(&path, true, Arm64Context::Breakpad, true));
    assert_eq!(dump.modules[0].symbols, SymbolsFound::Mismatch);
    assert!(names(&dump, 0).iter().all(|(name, _)| name.is_none()));
}

#[test]
#[cfg_attr(not(unix), ignore = "files of modules are looked for on Unix alone")]
fn the_right_part_of_a_universal_file_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = library_file(directory.path());
    let right = std::fs::read(&path).unwrap();
    let mut file: Vec<u8> =
        [0xcafe_babe_u32, 2, 0x0100_0007, 3, 0x4000, 0x3000, 14, 0x0100_000c, 0, 0x8000, 0x3000, 14]
            .into_iter()
            .flat_map(u32::to_be_bytes)
            .collect();
    file.resize(0x4000, 0);
    file.extend(library([9; 16], &[(0x400, "wrong")]));
    file.resize(0x8000, 0);
    file.extend(right);
    file.resize(0xb000, 0);
    std::fs::write(&path, file).unwrap();
    let dump = shown(&dump(&path, true, Arm64Context::Breakpad, true));
    assert_eq!(names(&dump, 0), [(Some("leaf"), Trust::Context), (Some("entry"), Trust::FramePointer)]);
}

#[test]
#[cfg_attr(not(unix), ignore = "files of modules are looked for on Unix alone")]
fn a_thread_that_waits_in_a_system_call_shows_its_caller() {
    let directory = tempfile::tempdir().unwrap();
    let path = library_file(directory.path());
    let expected = [
        (None, Trust::Context),
        (Some("middle"), Trust::CallFrameInfo),
        (Some("entry"), Trust::FramePointer),
    ];
    for pair in [Arm64Context::Breakpad, Arm64Context::Microsoft] {
        assert_eq!(names(&shown(&dump(&path, true, pair, true)), 1), expected);
    }
    // On x86-64 this file is of another processor, but it has the UUID and so the names.
    assert_eq!(names(&shown(&dump(&path, false, Arm64Context::Breakpad, true)), 1)[1], expected[1]);
    let without_code = shown(&dump(&path, true, Arm64Context::Breakpad, false));
    assert_eq!(
        names(&without_code, 1)[1],
        (Some("entry"), Trust::FramePointer),
        "nothing tells of a system call"
    );
}

#[test]
fn what_the_processor_recorded_tells_of_a_system_call_where_code_is_missing() {
    let context = minidump::MinidumpContext::from_raw(minidump::MinidumpRawContext::Arm64(
        minidump::format::CONTEXT_ARM64 { pc: KERNEL, ..Default::default() },
    ));
    let memory = minidump::UnifiedMemoryList::default();
    let thread = |syndrome| AppleThread {
        id: 1,
        dispatch_queue: None,
        suspend_count: 0,
        fault: Some(Fault { address: Address(0), syndrome: Address(syndrome), number: 0 }),
    };
    let is_waiting =
        |thread: Option<&AppleThread>| super::super::system_call::is_waiting(&context, &memory, thread);
    assert!(is_waiting(Some(&thread(0x5600_0080))));
    assert!(!is_waiting(Some(&thread(0x9200_0046))));
    assert!(!is_waiting(None));
}

#[test]
#[cfg_attr(not(unix), ignore = "files of modules are looked for on Unix alone")]
fn people_read_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = library_file(directory.path());
    let text = render::render(&shown(&dump(&path, true, Arm64Context::Breakpad, true)));
    for line in [
        "crash reason  EXC_BAD_ACCESS / KERN_INVALID_ADDRESS at 0x10, on writing, thread 1\n",
        "crash text    abort() called (of /usr/lib/libc.dylib)\n",
        "boot args     keepsyms=1\n",
        "address mask  0xffff800000000000\n",
        "bundle        3.1\n",
        "shared cache  01234567-89AB-CDEF-FEDC-BA9876543210 at 0x180000000\n",
        "  2: dispatch queue queue\\u{1b}2, suspended 1 time\n",
        "  #1   middle  [libcrash.dylib+0x404, cfi]\n",
        "  fault at 0x10, syndrome 0x92000046\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn a_dump_cut_or_damaged_anywhere_is_an_error_or_a_dump() {
    let whole = dump("/nowhere/a", true, Arm64Context::Breakpad, true);
    let file = tempfile::NamedTempFile::new().unwrap();
    for size in (0..whole.len()).step_by(131) {
        std::fs::write(file.path(), &whole[..size]).unwrap();
        let _ = read_guarded(file.path());
    }
    let values = [0_u32, 1, 0x7fff_ffff, 0xffff_fff0, u32::MAX];
    for (at, value) in (0..whole.len() - 4).step_by(28).zip(values.iter().cycle()) {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        std::fs::write(file.path(), &bytes).unwrap();
        let _ = read_guarded(file.path());
    }
}

#[test]
fn a_record_of_another_version_is_a_warning() {
    let mut bytes = dump("/nowhere/a", true, Arm64Context::Breakpad, true);
    // Entries of the directory: type, size, offset.
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut entries = (0..word(8) as usize).map(|index| word(12) as usize + 12 * index);
    let record =
        entries.find(|entry| word(*entry) == APPLE_FACTS_STREAM).map(|entry| word(entry + 8)).unwrap();
    bytes[record as usize] += 1;
    let dump = shown(&bytes);
    assert_eq!(dump.warnings, ["its stream of Apple's facts (0x4d440004) is unreadable"]);
    assert!(dump.apple.is_some_and(|apple| apple.crash_info.len() == 1));
}

#[test]
fn a_uuid_is_written_as_apples_tools_do() {
    assert_eq!(uuid_text(&UUID), "01234567-89AB-CDEF-FEDC-BA9876543210");
}
