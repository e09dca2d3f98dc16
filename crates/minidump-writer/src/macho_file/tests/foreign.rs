use super::hand_made::{HandMade, amd64_thread, arm64_thread, halves, image, padded, words};
use super::*;

const ARM64: u32 = 0x0100_000c;
const LIBRARY: u64 = 0x1_8000_0000;

/// The note "all image infos" at `offset`, of an executable of UUID 9 and a library of UUID 8.
fn image_infos(offset: u64) -> Vec<u8> {
    let segments = offset + 24 + 2 * 48;
    let paths = segments + 3 * 32;
    let entry = |path: u64, uuid: u8, base: u64, segment: u64, count: u32, executing: u32| {
        let head = [words(&[path]), vec![uuid; 16], words(&[base, segment])].concat();
        [head, halves(&[count, executing])].concat()
    };
    let segment = |name: &str, address: u64| [padded(name, 16), words(&[address, 0])].concat();
    [
        halves(&[1, 2]),
        words(&[offset + 24]),
        halves(&[48, 0]),
        entry(paths, 9, CODE + 0x4000, segments, 2, 1),
        entry(paths + 9, 8, LIBRARY, segments + 64, 1, 0),
        segment("__TEXT", CODE + 0x4000),
        segment("__DATA", CODE + 0xc000),
        segment("__TEXT", LIBRARY),
        b"/bin/app\0/usr/lib/libA\0".to_vec(),
    ]
    .concat()
}

/// A "stack" core of LLDB: notes, threads with two sets of registers, stacks.
fn of_lldb() -> HandMade {
    let metadata = br#"{"threads":[{"thread_id":4294967298},{"thread_id":1716045}]}"#.to_vec();
    let main = [halves(&[2, 2]), words(&[u64::MAX, 0x4000]), vec![9; 16], halves(&[0, 1])].concat();
    let mut core = HandMade {
        cpu_type: ARM64,
        notes: vec![
            ("addrable bits", halves(&[4, 47, 47, 0])),
            ("process metadata", metadata),
            ("main bin spec", main),
            ("all image infos", image_infos(0)),
        ],
        threads: vec![
            arm64_thread(STACK + 0x100, 0x4000, 0x5600_0080),
            arm64_thread(STACK + 0x400, 0x4010, 0x9200_0046),
        ],
        segments: vec![(STACK, bytes_at(STACK, 0x1000), 3)],
    };
    let before: usize = core.notes[..3].iter().map(|(_, note)| note.len()).sum();
    let offset = core.contents_start() + before as u64;
    core.notes[3].1 = image_infos(offset);
    core
}

#[test]
fn a_core_of_lldb_tells_threads_images_and_the_main_executable() {
    let source = read_back(&of_lldb().bytes());
    let snapshot = &source.snapshot;
    // The one in a data abort comes first.
    let ids: Vec<(u32, u64)> =
        snapshot.threads.iter().map(|thread| (thread.id, thread.apple.as_ref().unwrap().id)).collect();
    assert_eq!(ids, [(1_716_045, 1_716_045), (2, 4_294_967_298)]);
    let Some(CpuState::Arm64(state)) = &snapshot.threads[0].cpu else { panic!("registers of AArch64") };
    assert_eq!((state.x[28], state.fp, state.lr), (7, STACK + 0x440, 0x55));
    assert_eq!((state.sp, state.pc, state.cpsr), (STACK + 0x400, 0x4010, 0x6000_0000));
    assert_eq!(state.vector, None);
    let exception = snapshot.exception.as_ref().unwrap();
    assert_eq!(
        (exception.thread, exception.code, exception.flags, exception.address),
        (1_716_045, 1, 1, 0x10)
    );
    assert_eq!(snapshot.soft_errors.len(), 1, "{:?}", snapshot.soft_errors);

    let module = |index: usize| {
        let module = &snapshot.modules[index];
        (module.base, module.size, module.path.as_slice(), module.id.clone().unwrap(), module.is_main)
    };
    assert_eq!(module(0), (CODE + 0x4000, 0x8000, b"/bin/app".as_slice(), ModuleId::Uuid([9; 16]), true));
    assert_eq!(module(1), (LIBRARY, 0x4000, b"/usr/lib/libA".as_slice(), ModuleId::Uuid([8; 16]), false));
    let facts = snapshot.apple.as_ref().unwrap();
    assert_eq!((facts.cpu_type, facts.address_bits), (ARM64, Some(47)));
    let main = facts.image_at(CODE + 0x4000).unwrap();
    assert_eq!((main.slide, main.executing, main.segments[1].address), (0x4000, true, CODE + 0xc000));
    assert_eq!((snapshot.system.os, snapshot.system.page_size), (OperatingSystem::MacOs, 0x4000));
    assert_eq!(snapshot.process.executable, Some(b"/bin/app".to_vec()));

    assert_eq!(snapshot.regions.len(), 1);
    assert_eq!((snapshot.regions[0].start, snapshot.regions[0].end), (STACK, STACK + 0x1000));
    assert_eq!(snapshot.regions[0].protection, Protection::READ | Protection::WRITE);
    assert_eq!(memory_at(&source, STACK, 0x1000), Some(bytes_at(STACK, 0x1000)));
    assert_eq!(source.chosen, None);
}

/// What LLDB 19 makes of a core by `process save-core --plugin-name=mach-o --style stack`, when it has opened it with the
/// executable as one of arm64-apple-macosx or x86_64-apple-macosx.
const LLDB_ARM64: &[u8] = include_bytes!("lldb-19-arm64.core");
const LLDB_AMD64: &[u8] = include_bytes!("lldb-19-x86_64.core");

#[test]
fn cores_that_lldb_wrote_are_read() {
    const BASE: u64 = 0x1_02ac_0000;
    for (bytes, is_arm64) in [(LLDB_ARM64, true), (LLDB_AMD64, false)] {
        let source = read_back(bytes);
        let snapshot = &source.snapshot;
        let threads: Vec<_> = snapshot
            .threads
            .iter()
            .map(|thread| (thread.id, thread.stack_pointer().unwrap(), thread.instruction_pointer().unwrap()))
            .collect();
        let expected = [(1_716_044, 0x1_6f00_0000, BASE + 0x3008), (1_716_045, 0x1_7000_0000, BASE + 0x3010)];
        assert_eq!(threads, expected);
        let [module] = snapshot.modules.as_slice() else { panic!("one module") };
        assert_eq!((module.base, module.path.as_slice()), (BASE, b"/opt/tools/ninja".as_slice()));
        assert!(module.is_main);
        let facts = snapshot.apple.as_ref().unwrap();
        let [image] = facts.images.as_slice() else { panic!("one image") };
        assert_eq!((image.slide, image.file_type, image.executing), (0x2ac_0000, 2, true));
        assert_eq!(image.segments[0].address, BASE);
        assert_eq!(facts.address_bits, Some(47));
        assert_eq!(snapshot.exception.is_some(), is_arm64);
        assert_eq!(snapshot.process.executable.as_deref(), Some(b"/opt/tools/ninja".as_slice()));
        // From 128 bytes below the stack pointer on.
        assert_eq!(memory_at(&source, 0x1_6eff_ff80, 0x80), Some(vec![0x11; 0x80]));
        let record = memory_at(&source, 0x1_6f00_0040, 16).unwrap();
        assert_eq!(record, words(&[0x1_6f00_0080, BASE + 0x3100]));
        assert_eq!(memory_at(&source, 0x1_6f00_0200, 1), None);
    }
}

#[test]
fn ids_are_only_believed_when_there_is_one_for_each_thread() {
    let mut core = of_lldb();
    core.notes[1].1 = br#"{"threads":[{"thread_id":5}]}"#.to_vec();
    core.notes[3].1.clear();
    let threads = read_back(&core.bytes()).snapshot.threads;
    // 2 is the one in a data abort.
    assert_eq!(threads.iter().map(|thread| thread.id).collect::<Vec<_>>(), [2, 1]);
    core.notes[1].1 = br#"{"threads":[{"thread_id":5},{"thread_id":4294967301}]}"#.to_vec();
    let threads = read_back(&core.bytes()).snapshot.threads;
    assert_eq!(threads.iter().map(|thread| thread.id).collect::<Vec<_>>(), [1, 5]);
}

#[test]
fn a_core_of_lldb_becomes_a_minidump_and_a_core_of_ours() {
    let (bytes, report) = converted(&of_lldb().bytes(), None).unwrap();
    assert!(bytes.starts_with(b"MDMP"));
    assert_eq!((report.threads, report.modules), (2, 2));
    let (bytes, _) = converted(&of_lldb().bytes(), Some(Format::MachOCore)).unwrap();
    let (before, after) = (read_back(&of_lldb().bytes()), read_back(&bytes));
    assert_eq!(after.snapshot.threads, before.snapshot.threads);
    assert_eq!(after.snapshot.apple, before.snapshot.apple);
    assert_eq!(after.snapshot.modules, before.snapshot.modules);
}

/// A core of the kernel: no note, all memory; dyld's list has an executable, a library, and an image that is not there.
fn of_the_kernel() -> HandMade {
    const DYLD: u64 = 0x2_0000_0000;
    let mut main = image(2, 0x1_0000_0000, 9, None, None);
    main.resize(0x4000, 0);
    // In the shared cache, another library lies behind the first one in the same segment.
    let mut libraries = image(6, 0x1_8000_0000 - 0x1000, 8, Some("/usr/lib/libA"), None);
    libraries.resize(0x4000, 0);
    libraries.extend(image(6, 0x1_8000_4000 - 0x1000, 7, Some("/usr/lib/libB"), None));
    libraries.resize(0x8000, 0);
    let mut dyld = image(7, 0, 6, Some("/usr/lib/dyld"), Some(0x4100));
    dyld.resize(0x4000, 0);
    let mut data = vec![0; 0x100];
    data.extend([halves(&[17, 3]), words(&[DYLD + 0x4200])].concat());
    data.resize(0x200, 0);
    data.extend(words(&[LIBRARY, DYLD + 0x4300, 0, CODE + 0x8000, DYLD + 0x4310, 0, 0x9999_0000, 1, 0]));
    data.resize(0x300, 0);
    data.extend(padded("/real/libA", 16));
    data.extend(padded("/bin/app", 16));
    HandMade {
        cpu_type: ARM64,
        notes: vec![],
        threads: vec![arm64_thread(STACK + 0x100, CODE + 0x8100, 0x5600_0080)],
        segments: vec![
            (CODE + 0x8000, main, 5),
            (STACK, bytes_at(STACK, 0x1000), 3),
            (LIBRARY, libraries, 5),
            (DYLD, dyld, 5),
            (DYLD + 0x4000, data, 3),
        ],
    }
}

#[test]
fn a_core_without_notes_tells_its_images_by_its_memory() {
    let snapshot = read_back(&of_the_kernel().bytes()).snapshot;
    let told = |module: &Module| {
        let path = String::from_utf8(module.path.clone()).unwrap();
        let Some(ModuleId::Uuid(uuid)) = module.id else { return (module.base, path, 0, module.is_main) };
        (module.base, path, uuid[0], module.is_main)
    };
    let found: Vec<_> = snapshot.modules.iter().map(told).collect();
    let expected = [
        (0x9999_0000, String::new(), 0, false),
        (CODE + 0x8000, "/bin/app".into(), 9, true),
        (LIBRARY, "/real/libA".into(), 8, false),
        (LIBRARY + 0x4000, "/usr/lib/libB".into(), 7, false),
        (0x2_0000_0000, "/usr/lib/dyld".into(), 6, false),
    ];
    assert_eq!(found, expected);
    let library = &snapshot.modules[2];
    assert_eq!(library.version, Some(FileVersion { major: 1, minor: 2, patch: 3, build: 0 }));
    assert_eq!((library.size, library.soname.as_deref()), (0x4000, Some("/usr/lib/libA")));
    let facts = snapshot.apple.as_ref().unwrap();
    assert_eq!(facts.dyld_all_image_infos, Some(0x2_0000_4100));
    let main = facts.image_at(CODE + 0x8000).unwrap();
    assert_eq!((main.slide, main.file_type, main.segments.len()), (0x8000, 2, 2));
    assert_eq!((main.segments[1].address, main.segments[1].size), (CODE + 0xc000, 0x4000));
    assert_eq!(facts.image_at(LIBRARY).unwrap().slide, 0x1000);
    assert_eq!(snapshot.exception, None);
}

#[test]
fn a_core_of_the_kernel_for_amd64_has_its_registers() {
    let core = HandMade {
        cpu_type: 0x0100_0007,
        threads: vec![amd64_thread(STACK + 0x100, 0x1234)],
        segments: vec![(STACK, bytes_at(STACK, 0x1000), 3)],
        ..HandMade::default()
    };
    let snapshot = read_back(&core.bytes()).snapshot;
    let Some(CpuState::Amd64(state)) = &snapshot.threads[0].cpu else { panic!("registers of x86-64") };
    assert_eq!((state.rsp, state.rip, state.rax, state.cs), (STACK + 0x100, 0x1234, 7, 7));
    assert_eq!(state.xsave, vec![9; 512]);
    let fault = snapshot.threads[0].apple.as_ref().unwrap().fault.unwrap();
    assert_eq!((fault.number, fault.cpu, fault.syndrome, fault.address), (14, 0, 3, 0x10));
    assert!(matches!(snapshot.system.cpu, Cpu::Amd64 { .. }));
}
