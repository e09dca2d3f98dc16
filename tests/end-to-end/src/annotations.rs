//! What an application says about itself.

use crate::Dump;
use minidump::MinidumpCrashpadInfo;

/// Keys and values: plain, empty, with a sign of equality, with letters beyond ASCII, long.
pub fn annotations() -> Vec<(&'static str, String)> {
    vec![
        ("version", "1.2.3".into()),
        ("empty", String::new()),
        ("query", "a=b&c=d".into()),
        ("größe", "sehr groß 日本".into()),
        ("long", "x".repeat(5000)),
    ]
}

/// The options that give them to a dump.
pub fn arguments() -> Vec<String> {
    let pairs = annotations().into_iter();
    pairs.flat_map(|(key, value)| ["--annotate".into(), format!("{key}={value}")]).collect()
}

/// Fails unless the dump has all of them, and nothing else.
#[track_caller]
pub fn assert_annotated(dump: &Dump) {
    let parsed = dump.parse();
    let info: MinidumpCrashpadInfo = parsed.get_stream().unwrap();
    assert_eq!(info.simple_annotations.len(), annotations().len());
    for (key, value) in annotations() {
        assert_eq!(info.simple_annotations.get(key), Some(&value), "{key}");
    }
}
