//! The note of our own: every fact of the snapshot that no other part of the core has.

use crate::build::{
    amd64_registers, amd64_thread, arm64_registers, empty, empty_amd64, encode, encode_from, image, module,
    region, segment, thread,
};
use minidump_formats::macho_core::{OWN_NOTE, OWN_NOTE_VERSION};
use minidump_snapshot::cpu::DebugRegisters;
use minidump_snapshot::{
    AppleFacts, CrashInfo, Exception, FileVersion, Handle, HandleKind, MemoryPlan, PlannedRange, Process,
    Protection, Purpose, RegionKind, SharedCache, SoftError, Stage, ThreadStack, ThreadTimes,
};
use serde_json::json;

#[test]
fn its_owner_fits_the_field_and_its_version_is_told() {
    assert!(OWN_NOTE.len() <= 16);
    let core = encode(&empty());
    assert_eq!(core.notes.last().unwrap().owner, OWN_NOTE);
    assert_eq!(core.own()["version"], OWN_NOTE_VERSION);
    assert_eq!(core.own()["captured_at_us"], 1_700_000_000_900_000_u64);
}

#[test]
fn the_exception_has_all_parameters_and_its_names() {
    let mut snapshot = empty();
    snapshot.threads = vec![thread(9, arm64_registers(1))];
    snapshot.blamed_thread = Some(9);
    snapshot.exception =
        Some(Exception { thread: 9, code: 1, flags: 1, address: 16, parameters: vec![10, u64::MAX, 16] });
    let own = encode(&snapshot).own();
    let expected = json!({
        "thread": 9, "code": 1, "flags": 1, "address": 16, "parameters": [10, u64::MAX, 16],
        "name": "EXC_BAD_ACCESS", "code_name": "KERN_INVALID_ADDRESS",
    });
    assert_eq!((&own["exception"], &own["blamed_thread"]), (&expected, &json!(9)));
    assert_eq!(encode(&empty()).own().get("exception"), None);
}

#[test]
fn process_and_system_are_told_without_an_environment() {
    let mut snapshot = empty();
    snapshot.process = Process {
        pid: 41,
        parent_pid: Some(1),
        uid: Some(501),
        executable: Some(b"/bin/caf\xe9".to_vec()),
        start_time_us: Some(3),
        user_time_us: Some(4),
        kernel_time_us: Some(5),
    };
    let own = encode(&snapshot).own();
    let expected = json!({
        // No UTF-8.
        "pid": 41, "parent_pid": 1, "uid": 501, "executable": [47, 98, 105, 110, 47, 99, 97, 102, 233],
        "start_us": 3, "user_us": 4, "kernel_us": 5,
    });
    assert_eq!(own["process"], expected);
    assert_eq!(own["system"], serde_json::to_value(&snapshot.system).unwrap());
}

#[test]
fn threads_have_names_queues_times_and_exceptions() {
    let mut snapshot = empty();
    let mut known = thread(3, arm64_registers(1));
    known.name = Some("grün".into());
    known.state = Some('R');
    known.priority = Some(31);
    known.affinity = Some(3);
    known.times = Some(ThreadTimes { start_us: 1, user_us: 2, kernel_us: 3 });
    known.thread_pointer = Some(0x70);
    snapshot.threads = vec![known];
    let expected = json!([{
        "id": 3, "command": 0, "registers": true, "name": "grün", "state": "R", "priority": 31, "affinity": 3,
        "times": { "start_us": 1, "user_us": 2, "kernel_us": 3 }, "thread_pointer": 0x70,
        "apple": {
            "id": 0x5_0000_0003_u64, "handle": 0x1_6f00_0000_u64, "dispatch_queue": "com.example.queue",
            "suspend_count": 1,
            "fault": { "address": 0xdead_0000_u32, "syndrome": 0x9200_0046_u32, "number": 3, "cpu": 5 },
        },
    }]);
    assert_eq!(encode(&snapshot).own()["threads"], expected);
}

#[test]
fn registers_of_amd64_without_a_place_in_the_sets_are_told() {
    let mut snapshot = empty_amd64();
    let mut state = amd64_registers(1);
    state.xsave.extend([0x0a, 0xff]);
    let debug = DebugRegisters { dr0_3: [1, 2, 3, 4], dr6: 5, dr7: 6 };
    state.debug = Some(debug);
    let expected = json!({
        "ss": 0x23, "ds": 1, "es": 2, "fs_base": state.fs_base, "gs_base": state.gs_base,
        "orig_rax": u64::MAX, "xsave": "0aff", "debug": debug,
    });
    snapshot.threads = vec![amd64_thread(1, state)];
    assert_eq!(encode(&snapshot).own()["threads"][0]["amd64"], expected);
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
    snapshot.modules = vec![library, main];
    let text = segment(b"__TEXT", 0x1_0000_0000, 0x4000, Protection::READ | Protection::EXECUTE);
    let mut known = image(0x1_0000_0000, 0x7000, vec![text]);
    known.cpu_subtype = 0x8000_0002;
    snapshot.apple.as_mut().unwrap().images = vec![known];
    let own = encode(&snapshot).own();
    let modules = json!([
        {
            "base": 0x1_0000_0000_u64, "size": 0x8000, "path": "/lib", "soname": "@rpath/lib",
            "version": [1, 2, 3, 4], "uuid": "abababababababababababababababab", "deleted": true,
        },
        { "base": 0x2_0000_0000_u64, "size": 0x8000, "path": "/main", "is_main": true },
    ]);
    let images = json!([{
        "base": 0x1_0000_0000_u64, "slide": 0x7000, "file_type": 6, "cpu_subtype": 0x8000_0002_u32,
        "header_size": 0x800, "executing": true, "segments": [["__TEXT", 0x1_0000_0000_u64, 0x4000, 5]],
    }]);
    assert_eq!(own["modules"], modules);
    assert_eq!(own["apple"]["images"], images);
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
    let expected = json!({
        "cpu_type": 0x0100_000c, "cpu_subtype": 2, "os_build": "23F79", "address_bits": 47,
        "dyld_all_image_infos": 0x1000, "dyld_version": 18, "dyld_error": "Library not loaded",
        "shared_cache": { "uuid": "11111111111111111111111111111111", "base": 2, "slide": 3 },
        "images": [],
        "crash_info": [{
            "module_path": "/usr/lib/libc", "version": 5, "thread": 1, "dialog_mode": 2, "abort_cause": 3,
            "message": "abort() called", "signature": "", "backtrace": "none", "message2": "more",
        }],
        "boot_args": "-v", "bundle_version": "1.2",
    });
    assert_eq!(encode(&snapshot).own()["apple"], expected);
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
    let own = encode(&snapshot).own();
    assert_eq!(own["modules"][1]["soname_is_path"], true);
    assert_eq!(own["modules"][1].get("soname"), None);
    assert_eq!(own["modules"][0].get("soname_is_path"), None);
    assert_eq!([&own["regions"][0][6], &own["regions"][1][6]], [&json!(1), &json!("/main2")]);
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
    let error = SoftError::new(Stage::Loader, "a list that does not end").range(1, 2);
    snapshot.soft_errors = vec![error.clone()];
    let own = encode(&snapshot).own();
    let regions =
        json!([[0x4000, 0x4000, 3, "File", 3, 0x100, "/lib"], [0x8000, 0x1000, 0, "Anonymous", 0, 0, ""]]);
    assert_eq!(own["regions"], regions);
    let handles = json!([{ "value": 3, "kind": "Socket", "target": "*:80", "mode": 0o140_777 }]);
    assert_eq!(own["handles"], handles);
    assert_eq!(own["annotations"], json!([["b", "1"], ["a", "2"]]));
    assert_eq!(own["soft_errors"], json!([error]));
}

#[test]
fn the_plan_is_told_with_its_purposes() {
    let ranges = [(0x5000, 0x20, Purpose::Stack), (0x1000, 0x10, Purpose::BlamedStack)];
    let range = |(start, size, purpose)| PlannedRange { start, size, purpose };
    let stacks = vec![ThreadStack { thread: 7, start: 0x1000, size: 0x10 }];
    let plan = MemoryPlan::from_ranges(ranges.into_iter().map(range).collect(), stacks);
    let own = encode_from(&empty(), &plan).own();
    assert_eq!(own["memory"], json!([[0x1000, 0x10, "blamed_stack"], [0x5000, 0x20, "stack"]]));
    assert_eq!(own["stacks"], json!([[7, 0x1000, 0x10]]));
    assert_eq!(own["full_memory"], false);
    let all = crate::build::plan(&[(0x1000, 0x10, Purpose::Full)]);
    assert_eq!(encode_from(&empty(), &all).own()["full_memory"], true);
}
