//! `minidump-writer show`: our own reader tells of a dump what the target knows of itself.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::dump::dump_command;
use end_to_end::refusal::assert_refusal;
use end_to_end::{Dump, Target, dump, elf, process, programs};
use serde_json::Value;
use std::process::Command;

/// The functions of the known call chain, innermost first.
const CHAIN: [&str; 3] = ["crasher::chain::inner_wait", "crasher::chain::middle", "crasher::chain::outer"];

#[test]
fn json_tells_every_thread_with_its_name_and_functions() {
    let target = Target::start(["threads", "16"]);
    let dump = dump(target.pid());
    let shown = show_json(&dump);
    assert_eq!(shown["crash"]["crashed"], false);
    assert_eq!(shown["process"]["pid"], target.pid());
    let threads = shown["threads"].as_array().unwrap();
    let ids: Vec<u64> = threads.iter().map(|thread| thread["id"].as_u64().unwrap()).collect();
    let dumped: Vec<u64> = dump.thread_ids().into_iter().map(u64::from).collect();
    assert_eq!(ids, dumped);
    assert_eq!(threads[0]["blamed"], true);
    for parked in target.parked() {
        let thread = threads.iter().find(|thread| thread["id"] == parked.tid).unwrap();
        assert_eq!(thread["name"], parked.name);
        let frames = thread["frames"].as_array().unwrap();
        for (frame, function) in frames.iter().zip(CHAIN) {
            assert_eq!(frame["function"], function, "{}", parked.name);
            assert!(frame["file"].as_str().unwrap().ends_with("crashers/src/chain.rs"), "{frame}");
            assert!(frame["line"].as_u64().is_some_and(|line| line > 0), "{frame}");
            assert_eq!(frame["module"], "crasher");
        }
        let bottom = frames.last().unwrap();
        assert!(bottom["function"].as_str().is_some_and(|name| name.contains("clone")), "{bottom}");
    }
}

#[test]
fn json_tells_every_module_with_its_id() {
    let target = Target::start(["threads", "1"]);
    let dump = dump(target.pid());
    let shown = show_json(&dump);
    let mut expected = dump.modules();
    expected.sort_by_key(|module| module.base);
    let listed = shown["modules"].as_array().unwrap();
    assert_eq!(listed.len(), expected.len());
    for (shown, module) in listed.iter().zip(expected) {
        assert_eq!(shown["base"], format!("{:#x}", module.base));
        assert_eq!(shown["size"], module.size);
        assert_eq!(shown["path"], module.path);
        assert_eq!(shown["id"], elf::hexadecimal(&module.id));
    }
    assert_eq!(shown["memory"]["bytes"], dump.memory_total());
    assert_eq!(shown["bytes"], dump.bytes.len());
    assert_eq!(shown["soft_errors"], Value::Array(dump.soft_errors()));
}

#[test]
fn the_text_names_threads_functions_and_modules() {
    let target = Target::start(["threads", "3"]);
    let dump = dump(target.pid());
    let text = show(&dump, &[]);
    for parked in target.parked() {
        assert!(text.contains(&parked.name) && text.contains(&parked.tid.to_string()), "{text}");
    }
    for function in CHAIN {
        assert!(text.contains(function), "{function} in {text}");
    }
    for module in dump.modules() {
        assert!(text.contains(&module.path) && text.contains(&elf::hexadecimal(&module.id)), "{text}");
    }
    assert!(text.contains("crash reason"), "{text}");
}

#[test]
fn dump_and_show_in_one_go() {
    let target = Target::start(["threads", "2"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dmp");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(programs::dumper());
        command.arg("dump").arg(target.pid().to_string()).arg("-o").arg(&path).args(arguments);
        String::from_utf8(process::run(&mut command).expect_success("dump --show").stdout).unwrap()
    };
    let text = run(&["--show"]);
    assert!(CHAIN.iter().all(|function| text.contains(function)), "{text}");
    let object: Value = serde_json::from_str(&run(&["--show", "--json"])).unwrap();
    assert_eq!(object["threads"], 3);
    assert_eq!(object["show"]["threads"].as_array().unwrap().len(), 3);
    assert_eq!(object["path"], path.to_str().unwrap());
}

#[test]
fn a_thread_blocked_in_vfork_is_shown_with_the_reason() {
    let target = Target::start(["vfork-parent"]);
    let dump = end_to_end::dump_with(target.pid(), ["--deadline", "500ms"]);
    let shown = show_json(&dump);
    let tid = target.tid("tid");
    let thread = shown["threads"].as_array().unwrap().iter().find(|thread| thread["id"] == tid).unwrap();
    assert_eq!(thread["name"], "vfork-parent");
    assert!(!shown["soft_errors"].as_array().unwrap().is_empty());
}

#[test]
fn dumps_of_difficult_targets_are_shown() {
    for scenario in [
        vec!["main-exited"],
        vec!["sp-garbage", "low"],
        vec!["sp-garbage", "noncanonical"],
        vec!["sp-guard", "8192"],
        vec!["sp-below-main"],
        vec!["deep-recursion"],
        vec!["link-map-loop"],
        vec!["elf-header-wiped"],
        vec!["registers"],
        vec!["many-maps", "10000"],
        vec!["many-threads", "500"],
    ] {
        let target = Target::start(&scenario);
        let dump = dump(target.pid());
        let shown = show_json(&dump);
        let threads = shown["threads"].as_array().unwrap();
        assert_eq!(threads.len(), dump.thread_ids().len(), "{scenario:?}");
        let framed = threads.iter().filter(|thread| !thread["frames"].as_array().unwrap().is_empty()).count();
        assert!(
            framed >= dump.threads_with_registers().len(),
            "{scenario:?}: every known register set is a frame"
        );
        show(&dump, &[]);
    }
}

#[test]
fn what_is_no_minidump_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no.dmp");
    let attempt = || process::run(Command::new(programs::dumper()).arg("show").arg(&path));
    assert_refusal(&attempt(), &[path.to_str().unwrap()]);
    for contents in [&b""[..], b"hello", &[0; 4096], b"MDMP"] {
        std::fs::write(&path, contents).unwrap();
        assert_refusal(&attempt(), &[path.to_str().unwrap()]);
    }
}

#[test]
fn a_dump_cut_anywhere_is_shown_or_refused() {
    let target = Target::start(["threads", "2"]);
    let whole = dump(target.pid()).bytes;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.dmp");
    for part in 1..40 {
        std::fs::write(&path, &whole[..whole.len() * part / 40]).unwrap();
        let finished = process::run(Command::new(programs::dumper()).arg("show").arg(&path));
        if !finished.status.success() {
            assert_refusal(&finished, &[path.to_str().unwrap()]);
        }
    }
}

#[test]
fn a_core_cut_or_destroyed_anywhere_is_shown_or_refused() {
    let target = Target::start(["threads", "2"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.core");
    let mut command = dump_command(target.pid());
    process::run(command.args(["--format", "core", "-o"]).arg(&path)).expect_success("dump");
    let whole = std::fs::read(&path).unwrap();
    let attempt = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        let finished = process::run(Command::new(programs::dumper()).arg("show").arg(&path));
        if !finished.status.success() {
            eprintln!("{what}: {}", finished.stderr);
            assert_refusal(&finished, &[path.to_str().unwrap()]);
        }
    };
    for part in 1..30 {
        attempt(&whole[..whole.len() * part / 30], &format!("cut at {part} of 30"));
    }
    // The headers and the notes are at the front.
    let words = (0..whole.len().min(12_000)).step_by(200);
    for (at, value) in words.zip([0u32, 1, 0x7fff_ffff, 0xffff_fff0, u32::MAX].into_iter().cycle()) {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        attempt(&bytes, &format!("{value:#x} at {at}"));
    }
}

#[track_caller]
fn show_json(dump: &Dump) -> Value {
    serde_json::from_str(&show(dump, &["--json"])).unwrap()
}

#[track_caller]
fn show(dump: &Dump, arguments: &[&str]) -> String {
    let mut command = Command::new(programs::dumper());
    let finished = process::run(command.arg("show").arg(&dump.path).args(arguments)).expect_success("show");
    String::from_utf8(finished.stdout).unwrap()
}
