//! What libraries left for crash reports, and the arguments of the kernel.

use super::build::{arm64_thread, facts, mac};
use crate::build::encode;
use crate::raw::Raw;
use minidump::{MinidumpMacBootargs, MinidumpMacCrashInfo, RawMacCrashInfo};
use minidump_snapshot::{AppleFacts, Cpu, CrashInfo};

const CRASH_INFO: u32 = 0x4d7a_0001;
const BOOT_ARGS: u32 = 0x4d7a_0002;

fn encode_facts(facts: AppleFacts) -> Raw {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    snapshot.apple = Some(facts);
    encode(&snapshot)
}

fn encode_infos(crash_info: Vec<CrashInfo>) -> Raw {
    encode_facts(AppleFacts { crash_info, ..facts() })
}

fn info(version: u64, message: &str) -> CrashInfo {
    CrashInfo {
        module_path: b"/usr/lib/system/libsystem_c.dylib".to_vec(),
        version,
        thread: 0x1_0000_0001,
        dialog_mode: 2,
        abort_cause: (version >= 5).then_some(77),
        message: message.as_bytes().to_vec(),
        signature: b"signature".to_vec(),
        backtrace: vec![],
        message2: "second \u{1f980}".as_bytes().to_vec(),
    }
}

#[test]
fn texts_of_version_5_come_back() {
    let found = encode_infos(vec![info(5, "abort() called"), info(5, "")]).read::<MinidumpMacCrashInfo>();
    assert_eq!(found.raw.len(), 2);
    let RawMacCrashInfo::V5(fixed, texts) = &found.raw[0] else { panic!("{:?}", found.raw[0]) };
    assert_eq!((fixed.stream_type, fixed.version), (u64::from(CRASH_INFO), 5));
    assert_eq!((fixed.thread, fixed.dialog_mode, fixed.abort_cause), (0x1_0000_0001, 2, 77));
    assert_eq!(texts.module_path, "/usr/lib/system/libsystem_c.dylib");
    assert_eq!((texts.message.as_str(), texts.signature_string.as_str()), ("abort() called", "signature"));
    assert_eq!((texts.backtrace.as_str(), texts.message2.as_str()), ("", "second \u{1f980}"));
    assert_eq!(found.raw[1].message(), None, "the reader takes an empty text for none");
}

#[test]
fn version_4_has_no_abort_cause() {
    let found = encode_infos(vec![info(4, "dyld: Library not loaded")]).read::<MinidumpMacCrashInfo>();
    assert!(matches!(found.raw[0], RawMacCrashInfo::V4(..)));
    assert_eq!(found.raw[0].message(), Some("dyld: Library not loaded"));
    assert_eq!(found.raw[0].abort_cause(), None);
}

#[test]
fn the_stream_has_mozillas_layout() {
    for (version, fixed) in [(4_u64, 32_u32), (5, 40)] {
        let raw = encode_infos(vec![info(version, "m")]);
        let (stream, size) = raw.stream(CRASH_INFO);
        assert_eq!(size, 12 + 20 * 8);
        assert_eq!([raw.u32(stream), raw.u32(stream + 4), raw.u32(stream + 8)], [CRASH_INFO, 1, fixed]);
        let (record, size) = raw.location(stream + 12);
        assert_eq!((raw.u64(record), raw.u64(record + 8)), (CRASH_INFO.into(), version));
        assert_eq!((raw.u64(record + 16), raw.u64(record + 24)), (0x1_0000_0001, 2));
        let texts = "/usr/lib/system/libsystem_c.dylib\0m\0signature\0\0second \u{1f980}\0";
        let start = fixed as usize;
        assert_eq!(raw.slice((record + start, size - start)), texts.as_bytes());
        assert_eq!(raw.slice((stream + 20, 19 * 8)), [0; 152]);
    }
}

#[test]
fn records_of_different_versions_become_readable_together() {
    let found = encode_infos(vec![info(4, "old"), info(7, "new")]).read::<MinidumpMacCrashInfo>();
    let told = found.raw.iter().map(|info| {
        (*info.version().unwrap(), info.message().unwrap().to_owned(), info.abort_cause().copied())
    });
    // The reader takes a cause of zero for none.
    let expected = [(5, "old".into(), None), (5, "new".into(), Some(77))];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[test]
fn a_reader_takes_whatever_a_library_left() {
    let long = "x".repeat(10_000);
    let mut infos: Vec<CrashInfo> = (0..25).map(|index| info(5, &format!("number {index}"))).collect();
    infos[0].message = b"bad \xff".to_vec();
    infos[1].message = long.clone().into_bytes();
    infos[2].message = b"one\0two".to_vec();
    let found = encode_infos(infos).read::<MinidumpMacCrashInfo>();
    let messages: Vec<&str> = found.raw.iter().map(|info| info.message().unwrap()).collect();
    assert_eq!(messages.len(), 20, "the format has room for no more");
    assert_eq!(messages[..4], ["bad \u{fffd}", &long[..8191], "one", "number 3"]);
}

#[test]
fn without_texts_there_is_no_stream() {
    let raw = encode_facts(facts());
    assert_eq!((raw.find(CRASH_INFO), raw.find(BOOT_ARGS)), (None, None));
}

#[test]
fn boot_arguments_come_back() {
    let boot_args = "keepsyms=1 debug=0x144 \u{1f980}";
    let raw = encode_facts(AppleFacts { boot_args: Some(boot_args.to_owned()), ..facts() });
    assert_eq!(raw.read::<MinidumpMacBootargs>().bootargs.as_deref(), Some(boot_args));
    let (stream, size) = raw.stream(BOOT_ARGS);
    assert_eq!((size, raw.u32(stream)), (12, BOOT_ARGS));
    assert_eq!(raw.string(usize::try_from(raw.u64(stream + 4)).unwrap()), boot_args);
}
