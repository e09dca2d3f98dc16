use super::build::{amd64, windows, with};
use crate::build::{encode, module};
use crate::raw::Raw;
use minidump::{MinidumpModuleList, Module as _};
use minidump_snapshot::{FileVersion, Module, ModuleId, PeImage};

const BASE: u64 = 0x7ff6_4000_0000;
const MODULE_SIZE: usize = 108;
const GUID: [u8; 16] = *b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10";

fn app(id: Option<ModuleId>) -> Module {
    let mut module = module(BASE, 0x5_2000, br"C:\Program Files\App\app.exe", id);
    module.version = Some(FileVersion { major: 1, minor: 2, patch: 3, build: 4 });
    module
}

/// `RSDS`, GUID, age, name.
fn rsds(name: &str) -> Vec<u8> {
    [b"RSDS".as_slice(), &GUID, &7_u32.to_le_bytes(), name.as_bytes(), b"\0"].concat()
}

fn image() -> PeImage {
    PeImage {
        base: BASE,
        time_stamp: 0x6543_2100,
        check_sum: 0x0005_7acd,
        version_info: Some([
            0xfeef_04bd,
            0x1_0000,
            0x000a_0000,
            0x4a65_0f1a,
            0x000a_0001,
            0x4a65_0f1b,
            0x3f,
            2,
            0x4_0004,
            1,
            5,
            6,
            7,
        ]),
        code_view: rsds(r"D:\obj\app.pdb"),
    }
}

fn encode_app(module: Module, images: Vec<PeImage>) -> Raw {
    let mut snapshot = with(windows(amd64(), vec![]), |facts| facts.images = images);
    snapshot.modules = vec![module];
    encode(&snapshot)
}

#[test]
fn a_module_has_all_that_its_headers_tell() {
    let raw = encode_app(app(None), vec![image()]);
    let (list, size) = raw.stream(4);
    assert_eq!((raw.u32(list), size), (1, 4 + MODULE_SIZE));
    let at = list + 4;
    assert_eq!((raw.u64(at), raw.u32(at + 8)), (BASE, 0x5_2000));
    assert_eq!((raw.u32(at + 12), raw.u32(at + 16)), (0x0005_7acd, 0x6543_2100), "CheckSum, TimeDateStamp");
    assert_eq!(raw.string(raw.u32(at + 20) as usize), r"C:\Program Files\App\app.exe");
    let version: Vec<u32> = (0..13).map(|index| raw.u32(at + 24 + 4 * index)).collect();
    assert_eq!(version, image().version_info.unwrap());
    assert_eq!(raw.slice(raw.location(at + 76)), rsds(r"D:\obj\app.pdb"), "CvRecord");
    assert_eq!(raw.slice((at + 84, 24)), [0; 24], "MiscRecord, Reserved0, Reserved1");
}

#[test]
fn readers_tell_both_ids_and_the_version() {
    let raw = encode_app(app(None), vec![image()]);
    let modules = raw.read::<MinidumpModuleList>();
    let found = modules.module_at_address(BASE + 0x1000).unwrap();
    assert_eq!(found.code_identifier().unwrap().to_string(), "6543210052000");
    assert_eq!(found.debug_identifier().unwrap().breakpad().to_string(), "0403020106050807090A0B0C0D0E0F107");
    assert_eq!(found.debug_file().as_deref(), Some(r"D:\obj\app.pdb"));
    assert_eq!(found.version().as_deref(), Some("10.0.19045.3866"));
}

#[test]
fn without_headers_the_known_id_and_version_are_told() {
    let raw = encode_app(app(Some(ModuleId::Pdb { guid: GUID, age: 7 })), vec![]);
    let (list, _) = raw.stream(4);
    assert_eq!(raw.slice(raw.location(list + 4 + 76)), rsds(""));
    let modules = raw.read::<MinidumpModuleList>();
    assert_eq!(modules.module_at_address(BASE).unwrap().version().as_deref(), Some("1.2.3.4"));
    assert_eq!((raw.u32(list + 16), raw.u32(list + 20)), (0, 0));
}

#[test]
fn a_record_that_readers_would_refuse_is_not_taken_over() {
    for (length, kept) in [(0, false), (1, true), (32 << 10, true), ((32 << 10) + 1, false)] {
        let code_view = vec![0x52; length];
        let id = Some(ModuleId::Pdb { guid: GUID, age: 7 });
        let raw = encode_app(app(id), vec![PeImage { code_view: code_view.clone(), ..image() }]);
        let record = raw.slice(raw.location(raw.stream(4).0 + 4 + 76)).to_vec();
        assert_eq!(record, if kept { code_view } else { rsds("") }, "{length}");
    }
}
