use super::*;
use minidump_snapshot::{
    AppleThread, Cpu, CrashInfo, FaultState, MachImage, MachSegment, Module, OperatingSystem, Process,
    Protection, Region, RegionKind, SharedCache, System, Thread,
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

fn decode(bytes: &[u8]) -> Option<AppleRecord> {
    AppleRecord::decode(bytes, |json| serde_json::from_slice(json).ok())
}

fn record(snapshot: &Snapshot) -> AppleRecord {
    decode(&beside_streams(snapshot).unwrap()).unwrap()
}

fn returned(snapshot: &Snapshot) -> Snapshot {
    let mut told = told_by_others(snapshot);
    record(snapshot).restore(&mut told);
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
    assert_eq!(beside_streams(&snapshot()), None);
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
    let mut other = Snapshot::new(Process::default(), snapshot.system.clone());
    record(&snapshot).restore(&mut other);
    assert_eq!(other.apple.unwrap().images.len(), 1);
    let version = APPLE_RECORD_VERSION.to_le_bytes();
    // A region with a name and a kind that are not there, then an unknown section.
    let odd: [&[u8]; 3] = [&[], &[11, 8, 1, 2, 1, 0xff, 1, 0, 0, 9], &[99, 1, 1]];
    for section in odd {
        decode(&[&version, section].concat()).unwrap().restore(&mut snapshot);
    }
    assert_eq!(snapshot.system.page_size, 16384);
}

#[test]
fn a_damaged_record_is_none_and_a_hostile_one_takes_no_memory() {
    let mut snapshot = snapshot();
    snapshot.apple = Some(AppleFacts { images: vec![image(0x1000, 6); 3], ..AppleFacts::default() });
    snapshot.threads = vec![Thread::new(5), Thread::new(6)];
    snapshot.threads[0].apple = Some(Box::default());
    let whole = beside_streams(&snapshot).unwrap();
    for size in 0..whole.len() {
        // Between two sections the rest is not missed.
        if let Some(cut) = decode(&whole[..size]) {
            cut.restore(&mut snapshot.clone());
        }
    }
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            if let Some(record) = decode(&bytes) {
                record.clone().restore(&mut snapshot.clone());
                let _ = record.into_snapshot(&[], vec![]);
            }
        }
    }
    let version = APPLE_RECORD_VERSION.to_le_bytes();
    for tag in 1..16 {
        // A list that claims to be endless.
        let endless = [&version[..], &[tag, 10], &[0xff; 9], &[1]].concat();
        assert_eq!(decode(&endless), None, "{tag}");
    }
}

#[test]
fn a_long_name_is_not_repeated_without_end() {
    let mut snapshot = snapshot();
    snapshot.apple = Some(AppleFacts::default());
    let name = vec![b'x'; 1 << 20];
    let region = |index: u64| Region {
        start: index << 14,
        end: (index + 1) << 14,
        protection: Protection::READ,
        shared: false,
        kind: RegionKind::File,
        dont_dump: false,
        offset: 0,
        name: name.clone(),
    };
    snapshot.regions = (0..100).map(region).collect();
    let found = returned(&snapshot);
    assert_eq!(found.regions.iter().filter(|region| region.name == name).count(), 64);
    assert_eq!(found.regions.len(), 100);
}
