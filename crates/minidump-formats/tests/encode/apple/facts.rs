//! The stream of what no other stream tells.

use super::build::{arm64_thread, dylib, facts, image, mac, shared_cache};
use crate::build::{empty, encode, plan, region};
use crate::raw::decode;
use minidump_formats::minidump::{APPLE_FACTS_STREAM, LayoutOptions, layout};
use minidump_snapshot::{
    AppleFacts, AppleThread, Cpu, FaultState, MachSegment, Module, Process, Protection, Purpose, Region,
    RegionKind, SharedCache, Snapshot, Thread,
};

fn rich() -> Snapshot {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    snapshot.apple = Some(AppleFacts {
        address_bits: Some(47),
        dyld_all_image_infos: Some(0x2_0000_0000),
        dyld_version: Some(18),
        dyld_error: Some(b"Library not loaded: @rpath/a.dylib".to_vec()),
        shared_cache: Some(shared_cache()),
        images: vec![image(0x1_0000_0000, 2), image(0x1_8000_0000, 6)],
        bundle_version: Some("3.1".into()),
        ..facts()
    });
    snapshot.modules = vec![dylib(0x1_8000_0000, "/usr/lib/a.dylib")];
    let mut stack = region(0x1_6fe0_0000, 0x1_6fe8_0000, Protection::READ, RegionKind::Stack);
    stack.name = b"STACK".to_vec();
    snapshot.regions = vec![stack];
    snapshot
}

/// What the record alone tells, beside a snapshot with ids and addresses.
fn told(snapshot: &Snapshot) -> Snapshot {
    let mut told = mac(Cpu::Arm64, vec![Thread::new(1)]);
    told.modules = vec![Module { soname: None, ..snapshot.modules[0].clone() }];
    told.regions = vec![Region { name: vec![], kind: RegionKind::Anonymous, ..snapshot.regions[0].clone() }];
    decode(encode(snapshot).content(APPLE_FACTS_STREAM)).unwrap().restore(&mut told);
    told
}

#[test]
fn it_tells_of_dyld_the_shared_cache_and_the_bundle() {
    let facts = told(&rich()).apple.unwrap();
    assert_eq!(facts.dyld_error.as_deref(), Some(&b"Library not loaded: @rpath/a.dylib"[..]));
    let cache = SharedCache { uuid: [0x5c; 16], base: 0x1_8000_0000, slide: 0x1_0000 };
    assert_eq!(facts.shared_cache, Some(cache));
    assert_eq!((facts.bundle_version.as_deref(), facts.address_bits), (Some("3.1"), Some(47)));
    assert_eq!(facts.dyld_all_image_infos, Some(0x2_0000_0000));
}

#[test]
fn it_tells_of_threads_what_their_list_has_no_field_for() {
    let expected = AppleThread {
        id: 0x1_0000_0001,
        handle: 0x1_6fe0_7000,
        dispatch_queue: Some(b"com.example.queue".to_vec()),
        suspend_count: 1,
        fault: Some(FaultState { address: 0x18, syndrome: 0x9200_0046, number: 0, cpu: 0 }),
    };
    assert_eq!(told(&rich()).threads[0].apple.as_deref(), Some(&expected));
}

#[test]
fn it_tells_where_segments_lie_and_what_regions_are() {
    let told = told(&rich());
    let program = &told.apple.as_ref().unwrap().images[0];
    assert_eq!((program.base, program.file_type), (0x1_0000_0000, 2));
    let segment = |name: &[u8; 6], address, size| {
        let mut padded = [0; 16];
        padded[..6].copy_from_slice(name);
        MachSegment { name: padded, address, size, protection: Protection::READ }
    };
    let data = segment(b"__DATA", 0x1_0010_0000, 0x4000);
    assert_eq!(program.segments, [segment(b"__TEXT", 0x1_0000_0000, 0x8000), data]);
    let region = &told.regions[0];
    assert_eq!(
        (region.start, region.kind, region.name.as_slice()),
        (0x1_6fe0_0000, RegionKind::Stack, &b"STACK"[..])
    );
    assert_eq!(told.modules[0].soname, rich().modules[0].soname);
}

#[test]
fn nothing_is_lost_between_record_and_snapshot() {
    let snapshot = rich();
    let raw = encode(&snapshot);
    let record = decode(raw.content(APPLE_FACTS_STREAM)).unwrap();
    let mut restored = snapshot.clone();
    restored.apple = None;
    restored.threads[0].apple = None;
    restored.modules[0].soname = None;
    restored.regions[0].name.clear();
    restored.process = Process { pid: restored.process.pid, ..Process::default() };
    record.restore(&mut restored);
    assert_eq!(restored, snapshot);
}

#[test]
fn dumps_of_other_systems_have_none_of_these_streams() {
    let mut snapshot = empty();
    snapshot.blamed_thread = Some(1);
    let raw = encode(&snapshot);
    for stream in [APPLE_FACTS_STREAM, 0x4767_0001, 0x4d7a_0001, 0x4d7a_0002, 0x4350_0001] {
        assert_eq!(raw.find(stream), None, "{stream:#x}");
    }
}

#[test]
fn two_thousand_modules_stay_small() {
    let mut snapshot = rich();
    let bases = (0..2000_u64).map(|index| 0x1_8000_0000 + (index << 21));
    snapshot.modules = bases.clone().map(|base| dylib(base, &format!("/usr/lib/lib{base}.dylib"))).collect();
    snapshot.apple.as_mut().unwrap().images = bases.map(|base| image(base, 6)).collect();
    let raw = encode(&snapshot);
    let (_, size) = raw.stream(APPLE_FACTS_STREAM);
    assert!(size < 2000 * 40, "{size} bytes");
}

#[test]
fn a_dump_beyond_4_gib_keeps_every_stream_within_reach() {
    let snapshot = rich();
    let gib = 1_u64 << 30;
    let ranges = [(0x1_6fe0_0000, 0x4000, Purpose::BlamedStack), (16 * gib, 5 * gib, Purpose::Full)];
    let plan = plan(&ranges, &[(1, 0x1_6fe0_0000, 0x4000)]);
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    assert!(layout.uses_memory64());
    assert!(layout.memory_offset() < 1 << 20);
    assert_eq!(layout.total_size(), layout.memory_offset() + 0x4000 + 5 * gib + 16 + 16 * 512);
}
