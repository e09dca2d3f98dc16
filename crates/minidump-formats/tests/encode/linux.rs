use crate::build::{empty, encode, module, region};
use minidump::{MinidumpLinuxMaps, MinidumpMemoryInfoList};
use minidump_snapshot::{DsoDebug, LinkMap, LinuxFacts, Protection, RegionKind, SoftError, Stage};

const DSO_DEBUG: u32 = 0x4767_000a;
const SOFT_ERRORS: u32 = 0x4d7a_0004;

#[test]
fn texts_are_kept_byte_for_byte_and_missing_ones_have_no_stream() {
    let text = |name: &str| Some([name.as_bytes(), b"\0\xff\n"].concat());
    let mut snapshot = empty();
    snapshot.linux = Some(LinuxFacts {
        cpu_info: text("cpuinfo"),
        status: text("status"),
        lsb_release: text("lsb"),
        cmdline: text("cmdline"),
        environ: None,
        environ_address: None,
        auxv: text("auxv"),
        maps: text("maps"),
        limits: text("limits"),
        dso_debug: None,
    });
    let raw = encode(&snapshot);
    let streams = [
        (0x4767_0003, "cpuinfo"),
        (0x4767_0004, "status"),
        (0x4767_0005, "lsb"),
        (0x4767_0006, "cmdline"),
        (0x4767_0008, "auxv"),
        (0x4767_0009, "maps"),
        (0x4d7a_0003, "limits"),
    ];
    for (stream_type, name) in streams {
        assert_eq!(raw.content(stream_type), text(name).unwrap(), "{name}");
    }
    assert_eq!(raw.find(0x4767_0007), None);
    assert_eq!(raw.find(DSO_DEBUG), None);
}

#[test]
fn an_empty_text_is_a_stream_without_bytes() {
    let mut snapshot = empty();
    snapshot.linux = Some(LinuxFacts { environ: Some(vec![]), ..LinuxFacts::default() });
    assert_eq!(encode(&snapshot).content(0x4767_0007), b"");
}

#[test]
fn the_reader_understands_the_maps() {
    let mut snapshot = empty();
    let line = b"00400000-00401000 r-xp 00000000 08:01 42     /usr/bin/app\n".to_vec();
    snapshot.linux = Some(LinuxFacts { maps: Some(line), ..LinuxFacts::default() });
    let raw = encode(&snapshot);
    let maps = raw.read::<MinidumpLinuxMaps<'_>>();
    assert!(maps.memory_info_at_address(0x40_0800).unwrap().is_executable());
}

#[test]
fn the_loaders_view_has_the_layout_that_minidump_2_core_reads() {
    let entry = |base: u64, name: &[u8]| LinkMap {
        address: base + 1,
        base,
        name_address: base + 2,
        name: name.to_vec(),
        dynamic: base + 3,
    };
    let mut snapshot = empty();
    let debug = DsoDebug {
        address: 0x10,
        version: 1,
        map: 0x20,
        brk: 0x30,
        ldbase: 0x40,
        dynamic: 0x50,
        dynamic_contents: (0..48).collect(),
        link_maps: vec![entry(0x1000, b""), entry(0x2000, b"/lib/l\xffibc.so")],
    };
    snapshot.linux = Some(LinuxFacts { dso_debug: Some(debug), ..LinuxFacts::default() });
    let raw = encode(&snapshot);
    let (stream, size) = raw.stream(DSO_DEBUG);
    assert_eq!((size, stream % 8), (40 + 48, 0));
    assert_eq!((raw.u32(stream), raw.u32(stream + 8), raw.u32(stream + 12)), (1, 2, 0));
    let words = [raw.u64(stream + 16), raw.u64(stream + 24), raw.u64(stream + 32)];
    assert_eq!(words, [0x30, 0x40, 0x50]);
    assert_eq!(raw.slice((stream + 40, 48)), (0..48).collect::<Vec<u8>>());
    let map = raw.u32(stream + 4) as usize;
    for (index, base, name) in [(0, 0x1000, ""), (1, 0x2000, "/lib/l\u{fffd}ibc.so")] {
        let entry = map + 24 * index;
        assert_eq!((raw.u64(entry), raw.u64(entry + 16)), (base, base + 3));
        assert_eq!(raw.string(raw.u32(entry + 8) as usize), name);
    }
}

#[test]
fn a_loader_without_entries_points_nowhere() {
    let mut snapshot = empty();
    let debug = DsoDebug {
        address: 0,
        version: 1,
        map: 0,
        brk: 0,
        ldbase: 0,
        dynamic: 0,
        dynamic_contents: vec![],
        link_maps: vec![],
    };
    snapshot.linux = Some(LinuxFacts { dso_debug: Some(debug), ..LinuxFacts::default() });
    let raw = encode(&snapshot);
    let (stream, size) = raw.stream(DSO_DEBUG);
    assert_eq!((size, raw.u32(stream + 4), raw.u32(stream + 8)), (40, 0, 0));
}

#[test]
fn regions_are_told_in_the_words_of_windows() {
    let mut snapshot = empty();
    snapshot.modules = vec![module(0x40_0000, 0x3000, b"/app", None)];
    let rx = Protection::READ | Protection::EXECUTE;
    let rw = Protection::READ | Protection::WRITE;
    let mut shared = region(0x9000_0000, 0x9000_1000, rw, RegionKind::Anonymous);
    shared.shared = true;
    snapshot.regions = vec![
        region(0x40_1000, 0x40_3000, rx, RegionKind::File),
        region(0x50_0000, 0x50_1000, rw, RegionKind::Heap),
        region(0x60_0000, 0x60_1000, Protection::READ, RegionKind::File),
        region(0x70_0000, 0x70_1000, Protection::empty(), RegionKind::Anonymous),
        shared,
    ];
    let raw = encode(&snapshot);
    let (stream, size) = raw.stream(16);
    assert_eq!(size, 16 + 5 * 48);
    assert_eq!((raw.u32(stream), raw.u32(stream + 4), raw.u64(stream + 8)), (16, 48, 5));
    let list = raw.read::<MinidumpMemoryInfoList<'_>>();
    let found: Vec<_> = list
        .iter()
        .map(|info| {
            let raw = &info.raw;
            (raw.base_address, raw.allocation_base, raw.region_size, raw.protection, raw._type, raw.state)
        })
        .collect();
    let expected = [
        (0x40_1000, 0x40_0000, 0x2000, 0x20, 0x100_0000, 0x1000),
        (0x50_0000, 0x50_0000, 0x1000, 0x04, 0x2_0000, 0x1000),
        (0x60_0000, 0x60_0000, 0x1000, 0x02, 0x4_0000, 0x1000),
        (0x70_0000, 0x70_0000, 0x1000, 0x01, 0x2_0000, 0x1000),
        (0x9000_0000, 0x9000_0000, 0x1000, 0x04, 0x4_0000, 0x1000),
    ];
    assert_eq!(found, expected);
    assert!(list.memory_info_at_address(0x40_2fff).unwrap().is_executable());
}

#[test]
fn soft_errors_are_a_json_array_that_is_always_there() {
    assert_eq!(encode(&empty()).content(SOFT_ERRORS), b"[]");
    let mut snapshot = empty();
    snapshot.soft_errors = vec![
        SoftError::new(Stage::Registers, "no \"registers\"\n").thread(7).os_error(Some(3)),
        SoftError::new(Stage::Memory, "unreadable").range(0x1000, 16),
    ];
    let raw = encode(&snapshot);
    let text = std::str::from_utf8(raw.content(SOFT_ERRORS)).unwrap();
    let expected = concat!(
        r#"[{"stage":"registers","message":"no \"registers\"\n","thread":7,"os_error":3},"#,
        r#"{"stage":"memory","message":"unreadable","address":4096,"size":16}]"#
    );
    assert_eq!(text, expected);
    let read: Vec<SoftError> = serde_json::from_str(text).unwrap();
    assert_eq!(read, snapshot.soft_errors);
    let reader = raw.reader();
    let seen: String = reader.get_stream::<minidump::MinidumpSoftErrors<'_>>().unwrap().as_ref().to_owned();
    assert_eq!(seen, text);
}
