use super::*;
use minidump_snapshot::{
    AppleThread, Cpu, CrashInfo, FaultState, MachSegment, Module, OperatingSystem, Process, Protection,
    Region, RegionKind, System, Thread,
};

fn snapshot() -> Snapshot {
    let system = System {
        os: OperatingSystem::MacOs,
        version: (14, 5, 0),
        description: "Darwin 23.5.0 arm64".into(),
        cpu: Cpu::Arm64,
        cpu_count: 8,
        cpu_max_mhz: None,
        page_size: 16384,
        build: "minidump-writer".into(),
    };
    let mut snapshot = Snapshot::new(Process { pid: 7, uid: Some(501), ..Process::default() }, system);
    snapshot.captured_at_us = 1_700_000_000_123_456;
    snapshot.process.executable = Some(b"/Applications/A.app/Contents/MacOS/A".to_vec());
    snapshot.process.start_time_us = Some(1_699_999_999_000_001);
    snapshot
}

/// What is left of `snapshot` in the streams that others know.
fn told_by_others(snapshot: &Snapshot) -> Snapshot {
    let mut told = snapshot.clone();
    told.captured_at_us -= told.captured_at_us % 1_000_000;
    told.process = Process { pid: told.process.pid, ..Process::default() };
    (told.system.description, told.system.page_size) = (String::new(), 4096);
    told.apple = None;
    for thread in &mut told.threads {
        thread.apple = None;
        thread.name = thread.name.take().map(|name| String::from_utf8_lossy(&name).into_owned().into_bytes());
    }
    for module in &mut told.modules {
        module.soname = None;
    }
    for region in &mut told.regions {
        (region.kind, region.shared, region.offset) = (RegionKind::File, false, 0);
        region.name.clear();
    }
    told
}

fn returned(snapshot: &Snapshot) -> Snapshot {
    let json = serde_json::to_string(&AppleRecord::new(snapshot).unwrap()).unwrap();
    let mut told = told_by_others(snapshot);
    serde_json::from_str::<AppleRecord>(&json).unwrap().restore(&mut told);
    told
}

fn segment(name: &[u8], address: u64) -> MachSegment {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name);
    let protection = Protection::READ | Protection::EXECUTE;
    MachSegment { name: padded, address, size: 0x4000, protection }
}

fn image(base: u64, file_type: u32) -> MachImage {
    let segments = vec![segment(b"__TEXT", base), segment(b"__AUTH_CONST_ABC", base + 0x4000)];
    MachImage {
        base,
        slide: 0xffff_0000_0000_4000,
        file_type,
        cpu_subtype: 0x8000_0002,
        header_size: 0x1000,
        segments,
        executing: file_type == 2,
    }
}

fn module(base: u64, path: &[u8], soname: Option<&str>) -> Module {
    Module {
        base,
        size: 0x4000,
        path: path.to_vec(),
        soname: soname.map(str::to_owned),
        version: None,
        id: None,
        is_main: false,
        deleted: false,
    }
}

#[test]
fn a_snapshot_without_facts_of_apple_has_no_record() {
    assert_eq!(AppleRecord::new(&snapshot()), None);
}

#[test]
fn facts_of_the_process_come_back() {
    let mut snapshot = snapshot();
    snapshot.apple = Some(AppleFacts {
        cpu_type: 0x0100_000c,
        cpu_subtype: 0x8000_0002,
        os_build: "23F79".into(),
        address_bits: Some(47),
        dyld_all_image_infos: Some(u64::MAX - 1),
        dyld_version: Some(18),
        dyld_error: Some(b"Library not loaded: \xff".to_vec()),
        shared_cache: Some(SharedCache { uuid: [7; 16], base: 0x1_8000_0000, slide: 0x4000 }),
        images: vec![image(0x1_0000_0000, 2), image(0x1_8000_0000, 6)],
        crash_info: vec![CrashInfo { version: 7, message: b"a\0\xffb".to_vec(), ..CrashInfo::default() }],
        boot_args: None,
        bundle_version: Some("1.2 (34)".into()),
    });
    assert_eq!(returned(&snapshot), snapshot);
}

#[test]
fn facts_of_threads_modules_and_regions_come_back() {
    let mut snapshot = snapshot();
    snapshot.apple =
        Some(AppleFacts { images: vec![image(0x1000, 6), image(0x9000, 6)], ..AppleFacts::default() });
    let mut thread = Thread::new(5);
    thread.name = Some(b"cut in a \xf0\x9f".to_vec());
    thread.apple = Some(Box::new(AppleThread {
        id: 0x1_0000_0005,
        handle: 0x1f_7000,
        dispatch_queue: Some(b"com.apple.main-thread".to_vec()),
        suspend_count: 2,
        fault: Some(FaultState { address: 0x10, syndrome: 0x9200_0046, number: 0, cpu: 3 }),
    }));
    snapshot.threads = vec![thread, Thread::new(6)];
    snapshot.modules = vec![
        module(0x1000, b"/usr/lib/a.dylib", Some("/usr/lib/a.dylib")),
        module(0x9000, b"/usr/lib/b.dylib", Some("@rpath/b.dylib")),
        module(0x2_0000, b"/tmp/\xff", None),
    ];
    let region = |start: u64, name: &[u8], kind| Region {
        start,
        end: start + 0x1000,
        protection: Protection::READ,
        shared: start == 0x3000,
        kind,
        dont_dump: false,
        offset: start,
        name: name.to_vec(),
    };
    snapshot.regions = vec![
        region(0x1000, b"stack", RegionKind::Stack),
        region(0x2000, b"malloc", RegionKind::Heap),
        region(0x3000, b"stack", RegionKind::Anonymous),
        region(0x4000, b"", RegionKind::Kernel),
    ];
    assert_eq!(returned(&snapshot), snapshot);
}

#[test]
fn a_record_of_something_else_does_no_harm() {
    let mut snapshot = snapshot();
    snapshot.apple = Some(AppleFacts { images: vec![image(2, 6); 3], ..AppleFacts::default() });
    let record = AppleRecord::new(&snapshot).unwrap();
    let mut other = Snapshot::new(Process::default(), snapshot.system.clone());
    record.restore(&mut other);
    assert_eq!(other.apple.unwrap().images.len(), 1);
    for json in ["{}", r#"{"regions":{"entries":[[1,"Heap",255,255,0,9]]}}"#, r#"{"unknown":1}"#] {
        let record: AppleRecord = serde_json::from_str(json).unwrap();
        record.restore(&mut snapshot);
    }
    assert_eq!(snapshot.system.page_size, 16384);
}
