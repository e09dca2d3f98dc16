//! What an application says about itself comes back from the readers.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use end_to_end::annotations::{annotations, arguments, assert_annotated};
use end_to_end::{Target, dump_with, needs, process, programs};
use serde_json::Value;
use std::process::Command;

#[test]
fn annotations_are_crashpads_own() {
    let target = Target::start(["threads", "2"]);
    let dump = dump_with(target.pid(), arguments());
    assert_annotated(&dump);
}

#[test]
fn stackwalk_shows_annotations() {
    let Some(program) = needs::stackwalk("stackwalk_shows_annotations") else { return };
    let target = Target::start(["threads", "2"]);
    let dump = dump_with(target.pid(), arguments());
    let mut command = Command::new(program);
    let finished = process::run(command.arg("--dump").arg(&dump.path)).expect_success("stackwalk");
    let text = String::from_utf8(finished.stdout).unwrap();
    for (key, value) in annotations() {
        let line = format!("simple_annotations[\"{key}\"] = {value}");
        assert!(text.lines().any(|found| found.trim() == line.trim()), "{line}");
    }
}

#[test]
fn show_shows_annotations() {
    let target = Target::start(["threads", "2"]);
    let dump = dump_with(target.pid(), arguments());
    let show = |arguments: &[&str]| {
        let mut command = Command::new(programs::dumper());
        let finished = process::run(command.arg("show").arg(&dump.path).args(arguments));
        String::from_utf8(finished.expect_success("show").stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&show(&["--json"])).unwrap();
    let told = json["annotations"].as_array().unwrap();
    assert_eq!(told.len(), annotations().len());
    let text = show(&[]);
    for (key, value) in annotations() {
        let found = told.iter().find(|told| told["key"] == key).unwrap();
        assert_eq!((&found["value"], &found["module"]), (&Value::from(value.as_str()), &Value::Null));
        assert!(text.lines().any(|line| line == format!("annotation    {key} = {value}")), "{key} in {text}");
    }
    assert_eq!(json["warnings"], Value::Array(Vec::new()));
}

#[test]
fn a_dump_without_annotations_has_no_stream_of_them() {
    let target = Target::start(["threads", "2"]);
    assert_eq!(end_to_end::dump(target.pid()).stream(0x4350_0001), None);
}

#[test]
fn a_key_without_a_value_and_a_key_twice_are_usage_errors() {
    let target = Target::start(["threads", "1"]);
    for arguments in [&["--annotate", "key"][..], &["--annotate", "a=1", "--annotate", "a=2"]] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(programs::dumper());
        command.arg("dump").arg(target.pid().to_string()).args(arguments).current_dir(folder.path());
        let finished = process::run(&mut command);
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {}", finished.stderr);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
