//! The way of one dump.

use crate::store::testing::{Folder, begun, ids};
use crate::store::{Id, Limits, Metadata, Store, StoreError};
use std::fs;
use std::io::{IoSlice, Write};

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn metadata() -> Metadata {
    let mut metadata = Metadata {
        executable: "/usr/bin/program".into(),
        pid: Some(77),
        tid: Some(78),
        reason: "SIGSEGV at 0x0".into(),
        signal: Some(11),
        source: "supervisor".into(),
        ..Metadata::now("program")
    };
    metadata.annotations.insert("build".into(), "17".into());
    metadata
}

#[test]
fn a_dump_goes_from_new_to_pending_to_completed() {
    let folder = Folder::new(Limits::default());
    let mut dump = folder.store.begin("program").unwrap();
    let id = dump.id();
    assert_eq!(dump.path(), folder.at(&format!("new/{id}.dmp")));
    dump.write_all(b"MDMP").unwrap();
    let written = dump.write_vectored(&[IoSlice::new(b"hel"), IoSlice::new(b"lo")]).unwrap();
    // Files of Windows take one piece at a time.
    assert_eq!(written, if cfg!(windows) { 3 } else { 5 });
    dump.write_all(b"hello".get(written..).unwrap()).unwrap();
    assert_eq!(dump.written(), 9);
    assert_eq!(folder.names(), [format!("new/{id}.dmp"), format!("new/{id}.json")]);
    assert_eq!(folder.store.pending().unwrap(), []);

    let stored = dump.commit(&metadata()).unwrap();
    assert_eq!((stored.id, stored.bytes), (id, 9));
    assert_eq!(stored.dump, folder.at(&format!("pending/{id}.dmp")));
    assert_eq!(fs::read(&stored.dump).unwrap(), b"MDMPhello");
    assert_eq!(folder.names(), [format!("pending/{id}.dmp"), format!("pending/{id}.json")]);
    assert_eq!(folder.store.pending().unwrap(), std::slice::from_ref(&stored));

    let completed = folder.store.complete(&id).unwrap();
    assert_eq!(completed.metadata, stored.metadata);
    assert_eq!(fs::read(&completed.dump).unwrap(), b"MDMPhello");
    assert_eq!(folder.names(), [format!("completed/{id}.dmp"), format!("completed/{id}.json")]);
    assert_eq!(folder.store.complete(&id).unwrap(), completed);

    folder.store.remove(&id).unwrap();
    assert_eq!(folder.names(), [""; 0]);
    assert!(matches!(folder.store.remove(&id), Err(StoreError::NotFound { id: gone }) if gone == id));
    assert!(matches!(folder.store.complete(&id), Err(StoreError::NotFound { .. })));
}

#[test]
fn the_json_beside_a_dump_holds_what_the_table_in_the_documentation_says() {
    let folder = Folder::new(Limits::default());
    let stored = folder.store.begin("program").unwrap().commit(&metadata()).unwrap();
    let text = fs::read(folder.at(&format!("pending/{}.json", stored.id))).unwrap();
    let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let expected = serde_json::json!({
        "version": 1,
        "when_us": stored.metadata.when_us,
        "program": "program",
        "executable": "/usr/bin/program",
        "pid": 77,
        "tid": 78,
        "reason": "SIGSEGV at 0x0",
        "signal": 11,
        "source": "supervisor",
        "writer": concat!("minidump-handler ", env!("CARGO_PKG_VERSION")),
        "annotations": {"build": "17"},
        "soft_errors": [],
        "partial": false,
        "dropped": 0,
    });
    assert_eq!(read, expected);
    let table = include_str!("../../../../../docs/dump-directory.md");
    for field in expected.as_object().unwrap().keys() {
        assert!(table.contains(&format!("| `{field}` |")), "{field} is not in the table");
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read() {
    let folder = Folder::new(Limits::default());
    for part in ["", "new", "pending", "completed", "recent"] {
        assert_eq!(mode(&folder.at(part)), 0o700, "{part}");
    }
    let dump = folder.store.begin("program").unwrap();
    assert_eq!(mode(dump.path()), 0o600);
    let stored = dump.commit(&metadata()).unwrap();
    assert_eq!(mode(&stored.dump), 0o600);
    assert_eq!(mode(&stored.dump.with_extension("json")), 0o600);
}

#[test]
fn a_dropped_dump_leaves_nothing() {
    let folder = Folder::new(Limits::default());
    let mut dump = folder.store.begin("program").unwrap();
    dump.write_all(b"MDMP").unwrap();
    drop(dump);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_partial_dump_says_so() {
    let folder = Folder::new(Limits::default());
    let mut dump = folder.store.begin("program").unwrap();
    dump.write_all(b"MDMPhel").unwrap();
    // What a failed write may leave behind.
    dump.file().write_all(b"rubbish").unwrap();
    let stored = dump.commit_partial(&metadata()).unwrap();
    assert_eq!(fs::read(&stored.dump).unwrap(), b"MDMPhel");
    assert_eq!(stored.bytes, 7);
    assert_eq!(stored.metadata, Metadata { partial: true, when_us: stored.metadata.when_us, ..metadata() });
    assert_eq!(folder.store.pending().unwrap(), [stored]);
}

#[test]
fn a_durable_dump_is_the_same_dump() {
    let folder = Folder::new(Limits::default());
    let store = folder.store.clone().durable(true);
    let stored = begun(&store, 5, b"MDMP").commit(&metadata()).unwrap();
    assert_eq!(fs::read(&stored.dump).unwrap(), b"MDMP");
    assert_eq!(store.complete(&stored.id).unwrap().metadata, stored.metadata);
}

#[test]
fn dumps_are_listed_by_age() {
    let folder = Folder::new(Limits::none());
    for when in [30, 10, 20] {
        begun(&folder.store, when, b"MDMP").commit(&metadata()).unwrap();
    }
    let times: Vec<u64> = folder.pending_ids().iter().map(Id::when_us).collect();
    assert_eq!(times, [10, 20, 30]);
    for id in folder.pending_ids() {
        folder.store.complete(&id).unwrap();
    }
    assert_eq!(ids(&folder.store.completed().unwrap()).len(), 3);
}

#[test]
fn a_folder_that_was_cleared_is_made_again() {
    let folder = Folder::new(Limits::default());
    fs::remove_dir_all(folder.store.root()).unwrap();
    let stored = folder.store.begin("program").unwrap().commit(&metadata()).unwrap();
    assert_eq!(folder.store.pending().unwrap(), [stored]);
}

#[test]
fn a_file_in_the_place_of_the_folder_is_named() {
    let folder = Folder::new(Limits::default());
    fs::write(folder.outside("file"), b"").unwrap();
    let error = Store::open(folder.outside("file"), Limits::default()).unwrap_err();
    assert!(
        matches!(&error, StoreError::NotADirectory { path } if *path == folder.outside("file")),
        "{error}"
    );
}
