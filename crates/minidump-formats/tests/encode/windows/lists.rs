use super::build::{amd64, windows, with};
use crate::build::{encode, region};
use minidump::{MinidumpHandleDataStream, MinidumpMemoryInfoList, MinidumpUnloadedModuleList, Module as _};
use minidump_snapshot::{Protection, RegionKind, UnloadedModule, WindowsHandle, WindowsRegion};

fn windows_region(base: u64, size: u64, numbers: [u32; 4]) -> WindowsRegion {
    let [allocation_protection, state, protection, kind] = numbers;
    WindowsRegion {
        base,
        allocation_base: base & !0xffff,
        allocation_protection,
        size,
        state,
        protection,
        kind,
    }
}

#[test]
fn the_map_is_as_windows_tells_it_with_what_is_free_or_reserved() {
    let regions = vec![
        windows_region(0, 0x1_0000, [0, 0x1_0000, 1, 0]),
        windows_region(0x1_0000, 0x1000, [0x80, 0x1000, 0x20, 0x100_0000]),
        windows_region(0x1_1000, 0x3000, [0x04, 0x2000, 0, 0x2_0000]),
        windows_region(0x1_4000, 0x2000, [0x04, 0x1000, 0x104, 0x2_0000]),
    ];
    let mut snapshot = with(windows(amd64(), vec![]), |facts| facts.regions.clone_from(&regions));
    snapshot.regions = vec![region(0x1_0000, 0x1_1000, Protection::READ, RegionKind::File)];
    let raw = encode(&snapshot);
    let (at, size) = raw.stream(16);
    assert_eq!((size, raw.u32(at), raw.u32(at + 4), raw.u64(at + 8)), (16 + 4 * 48, 16, 48, 4));
    for (index, region) in regions.iter().enumerate() {
        let entry = at + 16 + 48 * index;
        let wide = [raw.u64(entry), raw.u64(entry + 8), raw.u64(entry + 24)];
        assert_eq!(wide, [region.base, region.allocation_base, region.size]);
        let narrow = [16, 32, 36, 40].map(|offset| raw.u32(entry + offset));
        assert_eq!(narrow, [region.allocation_protection, region.state, region.protection, region.kind]);
        assert_eq!((raw.u32(entry + 20), raw.u32(entry + 44)), (0, 0));
    }
    let list = raw.read::<MinidumpMemoryInfoList<'_>>();
    assert!(list.memory_info_at_address(0x1_0800).unwrap().is_executable());
}

#[test]
fn without_a_map_of_windows_the_regions_stand_for_it() {
    let mut snapshot = windows(amd64(), vec![]);
    snapshot.regions = vec![region(0x1_0000, 0x1_1000, Protection::READ, RegionKind::Anonymous)];
    let raw = encode(&snapshot);
    let (at, _) = raw.stream(16);
    assert_eq!((raw.u64(at + 8), raw.u64(at + 16), raw.u32(at + 16 + 36)), (1, 0x1_0000, 2));
}

#[test]
fn unloaded_modules_are_listed_in_their_order() {
    let unloaded = |base, name: &str| UnloadedModule {
        base,
        size: 0x1_2000,
        check_sum: 0xabcd,
        time_stamp: 0x6000_0001,
        name: name.into(),
    };
    let modules = vec![unloaded(0x7ff8_0000, "late.dll"), unloaded(0x1000_0000, "früh.dll")];
    let raw = encode(&with(windows(amd64(), vec![]), |facts| facts.unloaded_modules = modules));
    let (at, size) = raw.stream(14);
    assert_eq!((size, raw.u32(at), raw.u32(at + 4), raw.u32(at + 8)), (12 + 2 * 24, 12, 24, 2));
    let entry = at + 12;
    assert_eq!(raw.u64(entry), 0x7ff8_0000);
    let words: Vec<u32> = (0..3).map(|index| raw.u32(entry + 8 + 4 * index)).collect();
    assert_eq!(words, [0x1_2000, 0xabcd, 0x6000_0001]);
    assert_eq!(raw.string(raw.u32(entry + 24 + 20) as usize), "früh.dll");
    let list = raw.read::<MinidumpUnloadedModuleList>();
    let names: Vec<String> = list.iter().map(|module| module.code_file().into_owned()).collect();
    assert_eq!(names, ["late.dll", "früh.dll"]);
    assert_eq!(list.modules_at_address(0x7ff8_1000).count(), 1);
}

#[test]
fn handles_have_types_names_access_and_counts() {
    let handle = |value, type_name: &str, name: Option<&str>| WindowsHandle {
        value,
        type_name: type_name.into(),
        name: name.map(String::from),
        attributes: 2,
        granted_access: 0x12_019f,
        handle_count: 3,
        pointer_count: 0x7fff,
    };
    let handles = vec![
        handle(4, "File", Some(r"\Device\HarddiskVolume3\x.txt")),
        handle(8, "File", None),
        handle(12, "", Some("")),
    ];
    let raw = encode(&with(windows(amd64(), vec![]), |facts| facts.handles = handles));
    let (at, size) = raw.stream(12);
    let header: Vec<u32> = (0..4).map(|index| raw.u32(at + 4 * index)).collect();
    assert_eq!((header, size), (vec![16, 32, 3, 0], 16 + 3 * 32));
    let entry = |index: usize| at + 16 + 32 * index;
    assert_eq!(raw.u64(entry(0)), 4);
    let facts: Vec<u32> = (0..4).map(|index| raw.u32(entry(0) + 16 + 4 * index)).collect();
    assert_eq!(facts, [2, 0x12_019f, 3, 0x7fff]);
    assert_eq!(raw.u32(entry(0) + 8), raw.u32(entry(1) + 8), "types are told once");
    assert_eq!((raw.u32(entry(1) + 12), raw.u32(entry(2) + 8)), (0, 0), "no name and no type");
    let list = raw.read::<MinidumpHandleDataStream>();
    let first = list.iter().next().unwrap();
    assert_eq!(first.type_name.as_deref(), Some("File"));
    assert_eq!(first.object_name.as_deref(), Some(r"\Device\HarddiskVolume3\x.txt"));
    let last = list.iter().nth(2).unwrap();
    assert_eq!((last.type_name.as_deref(), last.object_name.as_deref()), (None, Some("")));
}

#[test]
fn without_entries_there_is_no_list() {
    let raw = encode(&windows(amd64(), vec![]));
    assert_eq!([12, 14, 16].map(|stream| raw.find(stream)), [None; 3]);
}
