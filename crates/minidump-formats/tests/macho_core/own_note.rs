//! The note of our own: every fact of the snapshot that no other part of the core has.

use crate::build::{
    amd64_registers, amd64_thread, arm64_registers, empty, empty_amd64, encode, encode_from, image, module,
    region, segment, thread,
};
use crate::parse::decode;
use crate::restore::restored;
use minidump_formats::apple_record::APPLE_RECORD_VERSION;
use minidump_formats::macho_core::OWN_NOTE;
use minidump_snapshot::cpu::DebugRegisters;
use minidump_snapshot::{
    AppleFacts, CrashInfo, Exception, FileVersion, Handle, HandleKind, MemoryPlan, Module, ModuleId,
    OperatingSystem, PlannedRange, Process, Protection, Purpose, RegionKind, SharedCache, Snapshot,
    SoftError, Stage, ThreadStack, ThreadTimes,
};

/// Nothing of `snapshot` is lost.
fn check(snapshot: &Snapshot) {
    assert_eq!(restored(snapshot, &encode(snapshot)), *snapshot);
}

#[test]
fn its_owner_fits_the_field_and_its_version_is_told() {
    assert!(OWN_NOTE.len() <= 16);
    let core = encode(&empty());
    let note = core.notes.last().unwrap();
    assert_eq!(note.owner, OWN_NOTE);
    assert_eq!(note.contents[..4], APPLE_RECORD_VERSION.to_le_bytes());
    check(&empty());
}

#[test]
fn another_version_is_not_read() {
    let mut note = encode(&empty()).note(OWN_NOTE).unwrap().contents.clone();
    assert!(decode(&note).is_some());
    note[0] += 1;
    assert!(decode(&note).is_none());
    assert!(decode(br#"{"version":1}"#).is_none());
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let snapshot = empty();
    let mut core = encode(&snapshot);
    let note = core.notes.last_mut().unwrap();
    // A section 99 of three bytes.
    note.contents.extend([99, 3, 1, 2, 3]);
    assert_eq!(restored(&snapshot, &core), snapshot);
}

#[test]
fn the_exception_has_all_parameters() {
    let mut snapshot = empty();
    snapshot.threads = vec![thread(9, arm64_registers(1))];
    snapshot.blamed_thread = Some(9);
    snapshot.exception =
        Some(Exception { thread: 9, code: 1, flags: 1, address: 16, parameters: vec![10, u64::MAX, 16] });
    check(&snapshot);
}

#[test]
fn process_and_system_are_told_without_an_environment() {
    let mut snapshot = empty_amd64();
    snapshot.process = Process {
        pid: 41,
        parent_pid: Some(1),
        uid: Some(501),
        executable: Some(b"/bin/caf\xe9".to_vec()),
        start_time_us: Some(3),
        user_time_us: Some(4),
        kernel_time_us: Some(5),
    };
    snapshot.system.os = OperatingSystem::Ios;
    snapshot.system.cpu_max_mhz = Some(3200);
    check(&snapshot);
}

#[test]
fn threads_have_names_queues_times_and_exceptions() {
    let mut snapshot = empty();
    let mut known = thread(3, arm64_registers(1));
    known.name = Some("grün".into());
    known.state = Some('R');
    known.priority = Some(-31);
    known.affinity = Some(3);
    known.times = Some(ThreadTimes { start_us: 1, user_us: 2, kernel_us: 3 });
    known.thread_pointer = Some(0x70);
    let mut plain = thread(4, arm64_registers(2));
    // As the set of exception registers has it, and as it has not.
    plain.apple.as_mut().unwrap().fault.as_mut().unwrap().cpu = 0;
    let mut none = thread(5, arm64_registers(3));
    none.apple.as_mut().unwrap().fault = None;
    snapshot.threads = vec![known, plain, none];
    check(&snapshot);
}

#[test]
fn registers_of_amd64_without_a_place_in_the_sets_are_told() {
    let mut snapshot = empty_amd64();
    let mut state = amd64_registers(1);
    state.xsave.extend([0x0a, 0xff]);
    state.debug = Some(DebugRegisters { dr0_3: [1, 2, 3, 4], dr6: 5, dr7: 6 });
    snapshot.threads = vec![amd64_thread(1, state)];
    check(&snapshot);
}

#[test]
fn modules_and_images_are_told_whole() {
    let mut snapshot = empty();
    let mut library = module(0x1_0000_0000, b"/lib", 0xab);
    library.soname = Some("@rpath/lib".into());
    library.version = Some(FileVersion { major: 1, minor: 2, patch: 3, build: 4 });
    library.deleted = true;
    let mut main = module(0x2_0000_0000, b"/main", 1);
    (main.is_main, main.id) = (true, None);
    let mut odd = module(0x3_0000_0000, b"a\0b", 0);
    odd.soname = Some("a\0b".into());
    let nameless = Module { id: Some(ModuleId::Uuid([0; 16])), ..module(0x4_0000_0000, b"", 1) };
    let long = module(0x5_0000_0000, &[b'x'; 2000], 2);
    snapshot.modules = vec![library, main, odd, nameless, long];
    let text = segment(b"__TEXT", 0x1_0000_0000, 0x4000, Protection::READ | Protection::EXECUTE);
    let mut known = image(0x1_0000_0000, 0x7000, vec![text]);
    known.cpu_subtype = 0x8000_0002;
    // Not among the modules, and with segments that lie anywhere.
    let below = segment(b"__DATA_CONST_123", 0x1000, u64::MAX, Protection::empty());
    let hidden = image(u64::MAX, 3, vec![segment(b"__TEXT", u64::MAX, 1, Protection::READ), below]);
    snapshot.apple.as_mut().unwrap().images = vec![known, hidden];
    check(&snapshot);
}

#[test]
fn what_only_apple_tells_is_told_whole() {
    let mut snapshot = empty();
    snapshot.apple = Some(AppleFacts {
        cpu_type: crate::build::ARM64,
        cpu_subtype: 2,
        os_build: "23F79".into(),
        address_bits: Some(47),
        dyld_all_image_infos: Some(0x1000),
        dyld_version: Some(18),
        dyld_error: Some(b"Library not loaded".to_vec()),
        shared_cache: Some(SharedCache { uuid: [0x11; 16], base: 2, slide: 3 }),
        images: vec![],
        crash_info: vec![CrashInfo {
            module_path: b"/usr/lib/libc".to_vec(),
            version: 5,
            thread: 1,
            dialog_mode: 2,
            abort_cause: Some(3),
            message: b"abort() called".to_vec(),
            signature: vec![],
            backtrace: b"none".to_vec(),
            message2: b"more".to_vec(),
        }],
        boot_args: Some("-v".into()),
        bundle_version: Some("1.2".into()),
    });
    check(&snapshot);
}

#[test]
fn a_path_is_told_once_for_a_module_its_name_and_its_regions() {
    let mut snapshot = empty();
    let mut library = module(0x4000, b"/usr/lib/libA.dylib", 0xab);
    library.soname = Some("/usr/lib/libA.dylib".into());
    snapshot.modules = vec![module(0x1000, b"/main", 1), library];
    snapshot.regions =
        vec![region(0x4000, 0x8000, Protection::READ), region(0x8000, 0x9000, Protection::READ)];
    snapshot.regions[0].name = b"/usr/lib/libA.dylib".to_vec();
    snapshot.regions[1].name = b"/main2".to_vec();
    check(&snapshot);
    let times =
        |text: &[u8]| encode(&snapshot).bytes.windows(text.len()).filter(|part| *part == text).count();
    assert_eq!((times(b"/usr/lib/libA.dylib"), times(&[0xab; 16])), (1, 1));
}

#[test]
fn an_image_takes_few_bytes_beside_the_list_of_images() {
    let size = |count: u64| {
        let mut snapshot = empty();
        let base = |index: u64| 0x1_8000_0000 + (index << 21);
        let text = |index| segment(b"__TEXT", base(index), 0x4000, Protection::READ);
        let data = |index| segment(b"__DATA", base(index) + 0x10_0000, 0x4000, Protection::READ);
        let image_at = |index| image(base(index), 0x1_0000, vec![text(index), data(index)]);
        snapshot.apple.as_mut().unwrap().images = (0..count).map(image_at).collect();
        snapshot.modules = (0..count).map(|index| module(base(index), b"/usr/lib/libA.dylib", 1)).collect();
        let pages = |index| region(base(index), base(index) + 0x8000, Protection::READ);
        snapshot.regions = (0..count).map(pages).collect();
        check(&snapshot);
        encode(&snapshot).note(OWN_NOTE).unwrap().contents.len()
    };
    assert!(size(400) - size(200) <= 200 * 40, "{}", (size(400) - size(200)) / 200);
}

#[test]
fn regions_handles_annotations_and_soft_errors_are_told() {
    let mut snapshot = empty();
    let mut mapped = region(0x4000, 0x8000, Protection::READ | Protection::WRITE);
    (mapped.kind, mapped.offset, mapped.name) = (RegionKind::File, 0x100, b"/lib".to_vec());
    (mapped.shared, mapped.dont_dump) = (true, true);
    snapshot.regions = vec![mapped, region(0x8000, 0x9000, Protection::empty())];
    snapshot.handles = vec![Handle {
        value: 3,
        kind: HandleKind::Socket,
        target: b"*:80".to_vec(),
        mode: Some(0o140_777),
        open_flags: None,
    }];
    snapshot.annotations = vec![("b".into(), "1".into()), ("a".into(), "2".into())];
    snapshot.soft_errors = vec![SoftError::new(Stage::Loader, "a list that does not end").range(1, 2)];
    check(&snapshot);
}

#[test]
fn the_plan_is_told_with_its_purposes() {
    let ranges = [(0x5000, 0x20, Purpose::Stack), (0x1000, 0x10, Purpose::BlamedStack)];
    let range = |(start, size, purpose)| PlannedRange { start, size, purpose };
    let stacks = vec![ThreadStack { thread: 7, start: 0x1000, size: 0x10 }];
    let plan = MemoryPlan::from_ranges(ranges.into_iter().map(range).collect(), stacks);
    let own = encode_from(&empty(), &plan).own();
    assert_eq!(own.plan().purposes, [(Purpose::BlamedStack, 0x10), (Purpose::Stack, 0x20)]);
    assert_eq!(own.plan().stacks, [(7, 0x1000, 0x10)]);
    assert!(!own.plan().full_memory);
    let all = crate::build::plan(&[(0x1000, 0x10, Purpose::Full)]);
    assert!(encode_from(&empty(), &all).own().plan().full_memory);
}
