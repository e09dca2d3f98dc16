use super::build::{UUID, arm64_thread, dylib, mac};
use crate::build::{encode, module, region};
use crate::raw::Raw;
use minidump::{
    MinidumpMemoryInfoList, MinidumpModuleList, MinidumpThreadList, MinidumpThreadNames, Module as _,
};
use minidump_snapshot::{Cpu, FileVersion, Module, ModuleId, Protection, RegionKind};
use std::borrow::Cow;

const MODULE_LIST: u32 = 4;
const MODULE_SIZE: usize = 108;

fn encode_modules(modules: Vec<Module>) -> Raw {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    snapshot.modules = modules;
    encode(&snapshot)
}

#[test]
fn the_id_of_a_module_is_its_uuid_as_dump_syms_prints_it() {
    let path = "/usr/lib/system/libsystem_kernel.dylib";
    let modules = encode_modules(vec![dylib(0x1_8000_0000, path)]).read::<MinidumpModuleList>();
    let module = modules.iter().next().unwrap();
    let id = module.debug_identifier().unwrap().breakpad().to_string();
    assert_eq!(id, "0123456789ABCDEFFEDCBA98765432100");
    assert_eq!(module.debug_file().as_deref(), Some("libsystem_kernel.dylib"));
    assert_eq!(module.code_file(), path);
    let id = module.code_identifier().unwrap().to_string();
    assert_eq!(id.to_lowercase(), "0123456789abcdeffedcba9876543210");
}

#[test]
fn the_cv_record_is_rsds_with_the_guid_in_the_order_of_windows() {
    let raw = encode_modules(vec![dylib(0x1_8000_0000, "/usr/lib/libz.1.dylib")]);
    let (list, _) = raw.stream(MODULE_LIST);
    let record = raw.location(list + 4 + 76);
    let guid = b"\x67\x45\x23\x01\xab\x89\xef\xcd\xfe\xdc\xba\x98\x76\x54\x32\x10";
    let expected = [b"RSDS".as_slice(), guid, &[0; 4], b"libz.1.dylib\0"].concat();
    assert_eq!(raw.slice(record), expected);
    assert_eq!(raw.location(list + 4 + 84), (0, 0), "no misc record");
}

#[test]
fn a_module_without_uuid_has_no_cv_record() {
    let mut nameless = dylib(0x1000, "/a");
    nameless.id = Some(ModuleId::Uuid([0; 16]));
    let raw = encode_modules(vec![nameless, module(0x2_0000, 1, b"/b", None)]);
    let (list, _) = raw.stream(MODULE_LIST);
    for index in 0..2 {
        assert_eq!(raw.location(list + 4 + MODULE_SIZE * index + 76), (0, 0));
    }
}

#[test]
fn the_version_of_a_library_is_packed_as_breakpad_does() {
    let raw = encode_modules(vec![dylib(0x1000, "/usr/lib/libSystem.B.dylib")]);
    let (list, _) = raw.stream(MODULE_LIST);
    let record = list + 4;
    assert_eq!((raw.u32(record + 24), raw.u32(record + 28)), (0xfeef_04bd, 0x1_0000));
    let version: Vec<u32> = (0..4).map(|index| raw.u32(record + 32 + 4 * index)).collect();
    assert_eq!(version, [1336, 61 << 16 | 1, 0, 0]);
    let modules = raw.read::<MinidumpModuleList>();
    assert_eq!(modules.iter().next().unwrap().version().as_deref(), Some("0.1336.61.1"));
}

#[test]
fn only_libraries_have_a_version_and_none_overflows_its_field() {
    let path = b"/Applications/A.app/Contents/MacOS/A";
    let mut program = module(0x1000, 0x1000, path, Some(ModuleId::Uuid(UUID)));
    (program.version, program.is_main) = (None, true);
    let mut huge = dylib(0x9000, "/huge.dylib");
    huge.version = Some(FileVersion { major: u32::MAX, minor: 0x1_0000, patch: 0x1_0001, build: 9 });
    let modules = encode_modules(vec![program, huge]).read::<MinidumpModuleList>();
    let versions: Vec<_> = modules.iter().map(|module| module.version().map(Cow::into_owned)).collect();
    assert_eq!(versions, [None, Some("0.65535.65535.65535".into())]);
}

#[test]
fn names_beyond_the_basic_plane_come_back() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1), arm64_thread(2), arm64_thread(3)]);
    snapshot.threads[0].name = Some("\u{1f980} worker \u{10ffff}".into());
    snapshot.threads[1].name = Some(b"cut \xf0\x9f\xa6".to_vec());
    snapshot.modules = vec![dylib(0x1000, "/Applications/\u{1f680}.app/Contents/MacOS/\u{1f680}")];
    let raw = encode(&snapshot);
    let names = raw.read::<MinidumpThreadNames>();
    assert_eq!(names.get_name(1).as_deref(), Some("\u{1f980} worker \u{10ffff}"));
    assert_eq!(names.get_name(2).as_deref(), Some("cut \u{fffd}"));
    assert_eq!(names.get_name(3), None);
    let modules = raw.read::<MinidumpModuleList>();
    let module = modules.iter().next().unwrap();
    assert_eq!(module.code_file(), "/Applications/\u{1f680}.app/Contents/MacOS/\u{1f680}");
    assert_eq!(module.debug_file().as_deref(), Some("\u{1f680}"));
}

#[test]
fn threads_have_the_lower_half_of_their_ids_and_their_suspend_count() {
    let raw = encode(&mac(Cpu::Arm64, vec![arm64_thread(0x0012_3456)]));
    let threads = raw.read::<MinidumpThreadList<'_>>();
    let thread = &threads.threads[0].raw;
    assert_eq!((thread.thread_id, thread.suspend_count, thread.teb), (0x0012_3456, 1, 0));
}

#[test]
fn the_memory_map_tells_rights_and_what_is_an_image() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    snapshot.modules = vec![dylib(0x1_8000_0000, "/usr/lib/a.dylib")];
    let (read, write, execute) = (Protection::READ, Protection::WRITE, Protection::EXECUTE);
    snapshot.regions = vec![
        region(0x1_6fe0_0000, 0x1_6fe0_4000, Protection::empty(), RegionKind::Anonymous),
        region(0x1_6fe0_4000, 0x1_6fe8_4000, read | write, RegionKind::Stack),
        region(0x1_8000_0000, 0x1_8000_8000, read | execute, RegionKind::File),
    ];
    let raw = encode(&snapshot);
    let regions = raw.read::<MinidumpMemoryInfoList<'_>>();
    let found: Vec<_> = regions
        .iter()
        .map(|info| (info.raw.base_address, info.raw.region_size, info.raw.protection, info.raw._type))
        .collect();
    let expected = [
        (0x1_6fe0_0000, 0x4000, 0x01, 0x2_0000),
        (0x1_6fe0_4000, 0x8_0000, 0x04, 0x2_0000),
        (0x1_8000_0000, 0x8000, 0x20, 0x100_0000),
    ];
    assert_eq!(found, expected);
}
