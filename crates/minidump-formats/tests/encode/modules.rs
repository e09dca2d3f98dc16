use crate::build::{empty, encode, module};
use crate::raw::Raw;
use minidump::{MinidumpModuleList, Module as _};
use minidump_snapshot::{Module, ModuleId};

const MODULE_LIST: u32 = 4;
const MODULE_SIZE: usize = 108;

fn encode_modules(modules: Vec<Module>) -> Raw {
    let mut snapshot = empty();
    snapshot.modules = modules;
    encode(&snapshot)
}

#[test]
fn modules_come_back_with_name_range_version_and_id() {
    let id: Vec<u8> = (1..=20).collect();
    let raw = encode_modules(vec![
        module(0x40_0000, 0x1000, b"/usr/bin/app", Some(ModuleId::TextHash([0x5a; 16]))),
        module(0x7f00_0000_0000, 0x20_0000, b"/lib/libc.so.6", Some(ModuleId::BuildId(id))),
    ]);
    let modules = raw.read::<MinidumpModuleList>();
    let found: Vec<_> = modules.iter().map(|module| (module.base_address(), module.size())).collect();
    assert_eq!(found, [(0x40_0000, 0x1000), (0x7f00_0000_0000, 0x20_0000)]);
    let libc = modules.module_at_address(0x7f00_0010_0000).unwrap();
    assert_eq!(libc.code_file(), "/lib/libc.so.6");
    assert_eq!(libc.version().as_deref(), Some("2.39.1.7"));
    assert_eq!(libc.code_identifier().unwrap().to_string(), "0102030405060708090a0b0c0d0e0f1011121314");
    assert_eq!(libc.debug_identifier().unwrap().to_string(), "04030201-0605-0807-090a-0b0c0d0e0f10");
    let app = modules.module_at_address(0x40_0000).unwrap();
    assert_eq!(app.code_identifier().unwrap().to_string(), "5a".repeat(16));
}

#[test]
fn the_cv_record_is_bpel_and_the_id_of_whatever_length() {
    for length in [1, 8, 16, 20, 32, 64] {
        let id = vec![0xc3; length];
        let raw = encode_modules(vec![module(0x1000, 1, b"m", Some(ModuleId::BuildId(id.clone())))]);
        let (list, size) = raw.stream(MODULE_LIST);
        assert_eq!((raw.u32(list), size), (1, 4 + MODULE_SIZE));
        let record = raw.location(list + 4 + 76);
        assert_eq!(record.1, 4 + length);
        assert_eq!(raw.slice(record), [b"LEpB".as_slice(), &id].concat());
    }
}

#[test]
fn a_module_without_id_has_no_cv_record_and_is_kept() {
    let empty_id = Some(ModuleId::BuildId(vec![]));
    let raw = encode_modules(vec![module(0x1000, 1, b"a", None), module(0x2000, 1, b"b", empty_id)]);
    let (list, _) = raw.stream(MODULE_LIST);
    assert_eq!(raw.location(list + 4 + 76), (0, 0));
    assert_eq!(raw.location(list + 4 + MODULE_SIZE + 76), (0, 0));
    let modules = raw.read::<MinidumpModuleList>();
    assert_eq!(modules.iter().count(), 2);
    assert!(modules.iter().all(|module| module.debug_identifier().is_none()));
}

#[test]
fn the_module_record_has_microsofts_layout() {
    let raw = encode_modules(vec![module(0x1234_5678_9000, 0x5000, b"/x", None)]);
    let (list, _) = raw.stream(MODULE_LIST);
    let record = list + 4;
    assert_eq!((raw.u64(record), raw.u32(record + 8)), (0x1234_5678_9000, 0x5000));
    assert_eq!(raw.string(raw.u32(record + 20) as usize), "/x");
    assert_eq!((raw.u32(record + 24), raw.u32(record + 28)), (0xfeef_04bd, 0x1_0000));
    let version: Vec<u32> = (0..4).map(|index| raw.u32(record + 32 + 4 * index)).collect();
    assert_eq!(version, [2, 39, 1, 7]);
}

#[test]
fn a_module_without_version_shows_none() {
    let mut unversioned = module(0x1000, 1, b"a", None);
    unversioned.version = None;
    let raw = encode_modules(vec![unversioned]);
    assert!(raw.read::<MinidumpModuleList>().iter().next().unwrap().version().is_none());
}

#[test]
fn names_that_are_not_utf8_and_sizes_that_do_not_fit_stay_readable() {
    let raw = encode_modules(vec![module(0x1000, 1 << 32, b"/tmp/\xff x\n\xc3\xb6", None)]);
    let modules = raw.read::<MinidumpModuleList>();
    let module = modules.iter().next().unwrap();
    assert_eq!(module.code_file(), "/tmp/\u{fffd} x\n\u{f6}");
    assert_eq!(module.size(), u64::from(u32::MAX));
}

#[test]
fn the_program_comes_first_wherever_it_lies() {
    let mut modules = [0x1000, 0x5000, 0x9000].map(|base| module(base, 0x1000, b"m", None));
    modules[1].is_main = true;
    let found = encode_modules(modules.to_vec()).read::<MinidumpModuleList>();
    let bases: Vec<u64> = found.iter().map(minidump::Module::base_address).collect();
    assert_eq!(bases, [0x5000, 0x1000, 0x9000]);
    assert_eq!(found.main_module().unwrap().base_address(), 0x5000);
}
