//! Notes of our own.

use crate::build::{empty, encode, registers, thread};
use minidump_formats::elf_core::{FACTS_NOTE, SOFT_ERRORS_NOTE};
use minidump_snapshot::{FileVersion, Module, ModuleId, SoftError, Stage, System, ThreadTimes};

#[test]
fn soft_errors_are_the_json_of_the_minidump() {
    let mut snapshot = empty();
    assert_eq!(encode(&snapshot).only(SOFT_ERRORS_NOTE), b"[]");
    snapshot.soft_errors.push(SoftError::new(Stage::Registers, "gone").thread(7));
    let found = encode(&snapshot).only(SOFT_ERRORS_NOTE);
    assert_eq!(found, br#"[{"stage":"registers","message":"gone","thread":7}]"#);
}

#[test]
fn facts_without_a_note_in_linux_cores_are_told_as_json() {
    let mut snapshot = empty();
    let mut worker = thread(7, registers(1));
    worker.name = Some(b"worker-\xff".to_vec());
    worker.state = Some('S');
    worker.times = Some(ThreadTimes { start_us: 1, user_us: 2, kernel_us: 3 });
    snapshot.threads.push(worker);
    snapshot.blamed_thread = Some(7);
    snapshot.annotations.push(("version".into(), "1.2".into()));
    snapshot.modules.push(Module {
        base: 0x40_0000,
        size: 0x1000,
        path: b"/bin/x".to_vec(),
        soname: None,
        version: Some(FileVersion { major: 2, minor: 39, patch: 1, build: 7 }),
        id: Some(ModuleId::BuildId(vec![0x0a, 0xf9])),
        is_main: true,
        deleted: false,
    });
    let facts: serde_json::Value = serde_json::from_slice(&encode(&snapshot).only(FACTS_NOTE)).unwrap();
    assert_eq!(facts["version"], 1);
    assert_eq!(facts["captured_at_us"], 1_700_000_000_900_000_u64);
    assert_eq!(facts["blamed_thread"], 7);
    let thread = &facts["threads"][0];
    assert_eq!((&thread["name"], &thread["state"]), (&"worker-\u{fffd}".into(), &"S".into()));
    assert_eq!((&thread["start_us"], &thread["kernel_us"]), (&1.into(), &3.into()));
    assert_eq!(thread["registers"], true);
    assert!(thread.get("rax").is_none() && thread.get("cpu").is_none(), "registers have notes of their own");
    let module = &facts["modules"][0];
    assert_eq!((&module["build_id"], &module["is_main"]), (&"0af9".into(), &true.into()));
    assert_eq!(module["version"], serde_json::json!([2, 39, 1, 7]));
    assert!(module["text_hash"].is_null());
    assert_eq!(facts["annotations"][0][1], "1.2");
    assert_eq!(facts["full_memory"], false);
    let system: System = serde_json::from_value(facts["system"].clone()).unwrap();
    assert_eq!(system, snapshot.system);
}
