//! What the application says about itself, as Crashpad stores it.

use crate::build::{empty, encode};
use minidump::MinidumpCrashpadInfo;

const CRASHPAD_INFO: u32 = 0x4350_0001;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn annotations_come_back_as_simple_annotations() {
    let mut snapshot = empty();
    let long = "x".repeat(70_000);
    snapshot.annotations =
        pairs(&[("version", "1.2.3"), ("größe", "zwölf €"), ("empty", ""), ("", "no key"), ("long", &long)]);
    let info = encode(&snapshot).read::<MinidumpCrashpadInfo>();
    assert_eq!(info.simple_annotations, snapshot.annotations.iter().cloned().collect());
    assert_eq!(info.raw.version, 1);
    assert!(info.module_list.is_empty());
}

#[test]
fn of_two_annotations_with_one_key_readers_show_the_later() {
    let mut snapshot = empty();
    snapshot.annotations = pairs(&[("stage", "start"), ("stage", "end")]);
    let info = encode(&snapshot).read::<MinidumpCrashpadInfo>();
    assert_eq!(info.simple_annotations["stage"], "end");
}

#[test]
fn the_stream_has_crashpads_layout() {
    let mut snapshot = empty();
    snapshot.annotations = pairs(&[("b", "one"), ("a", "zwö")]);
    let raw = encode(&snapshot);
    let (stream, size) = raw.stream(CRASHPAD_INFO);
    assert_eq!((size, stream % 4, raw.u32(stream)), (52, 0, 1));
    assert_eq!(raw.slice((stream + 4, 32)), [0; 32], "report and client are not known");
    assert_eq!(raw.location(stream + 44), (0, 0), "no module has annotations");
    let (dictionary, size) = raw.location(stream + 36);
    assert_eq!((size, raw.u32(dictionary)), (4 + 2 * 8, 2));
    let mut found = Vec::new();
    for entry in 0..4 {
        let text = raw.u32(dictionary + 4 + 4 * entry) as usize;
        let size = raw.u32(text) as usize;
        found.push(raw.slice((text + 4, size + 1)));
    }
    assert_eq!(found, [b"b\0".as_slice(), b"one\0", b"a\0", "zwö\0".as_bytes()]);
}

#[test]
fn without_annotations_there_is_no_stream() {
    assert_eq!(encode(&empty()).find(CRASHPAD_INFO), None);
}
