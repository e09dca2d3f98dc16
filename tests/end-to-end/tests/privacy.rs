//! What a dump must not tell: contents of stacks, the environment, the command line.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail the test")]

use end_to_end::privacy::{assert_sanitised, holds};
use end_to_end::readers::stackwalk;
use end_to_end::target::{number, pattern};
use end_to_end::unharmed::assert_unharmed;
use end_to_end::{Dump, Target, dump, dump_with, needs, programs};
use serde_json::Value;
use std::process::Command;

/// Streams of the texts of /proc.
const COMMAND_LINE: u32 = 0x4767_0006;
const ENVIRONMENT: u32 = 0x4767_0007;

const ARGUMENT: &str = "--password=swordfish-on-the-command-line";
const TOKEN: &str = "token-that-nobody-else-shall-see";
const PLAIN: &str = "a-value-with-an-innocent-name";

/// A crasher with secrets on its stack, its command line and in its environment.
fn start() -> Target {
    let mut command = Command::new(programs::crasher());
    command.args(["secrets", ARGUMENT]).env("DEPLOY_API_TOKEN", TOKEN).env("INNOCENT", PLAIN);
    Target::start_command(&mut command)
}

#[test]
fn with_the_right_options_no_secret_is_anywhere_in_the_file() {
    let mut target = start();
    let (_, text) = pattern(&target.facts["text"]);
    let secrets = [text.as_slice(), ARGUMENT.as_bytes(), TOKEN.as_bytes(), PLAIN.as_bytes()];
    let open = dump_with(target.pid(), ["--keep-environ"]);
    for secret in secrets {
        assert!(holds(&open.bytes, secret), "{} is in an open dump", String::from_utf8_lossy(secret));
    }
    let closed = dump_with(target.pid(), ["--sanitize", "--omit", "cmdline,environ"]);
    for secret in secrets {
        assert!(!holds(&closed.bytes, secret), "{} is in the dump", String::from_utf8_lossy(secret));
        // Nor is any part of it that is as long as a word of memory, wherever the part begins.
        for part in secret.windows(8) {
            assert!(!holds(&closed.bytes, part), "{} is in the dump", String::from_utf8_lossy(part));
        }
    }
    assert_eq!(closed.stream(COMMAND_LINE), None);
    assert_eq!(closed.stream(ENVIRONMENT), None);
    assert_unharmed(&mut target);
}

#[test]
fn a_core_can_be_as_discreet_as_a_minidump() {
    let target = start();
    let (_, text) = pattern(&target.facts["text"]);
    let secrets = [text.as_slice(), ARGUMENT.as_bytes(), TOKEN.as_bytes(), PLAIN.as_bytes()];
    let open = dump_with(target.pid(), ["--format", "core", "--keep-environ"]);
    for secret in secrets {
        assert!(holds(&open.bytes, secret), "{} is in an open core", String::from_utf8_lossy(secret));
    }
    let by_default = dump_with(target.pid(), ["--format", "core"]);
    assert!(!holds(&by_default.bytes, TOKEN.as_bytes()), "values with secret names are blanked");
    let arguments = ["--format", "core", "--sanitize", "--omit", "cmdline,environ"];
    let closed = dump_with(target.pid(), arguments);
    for part in secrets.iter().flat_map(|secret| secret.windows(8)) {
        assert!(!holds(&closed.bytes, part), "{} is in the core", String::from_utf8_lossy(part));
    }
}

#[test]
fn values_with_secret_names_are_blanked_unless_they_are_asked_for() {
    let target = start();
    let by_default = dump(target.pid());
    let environment = by_default.stream(ENVIRONMENT).unwrap();
    assert!(holds(&environment, b"DEPLOY_API_TOKEN="), "the name stays");
    assert!(holds(&environment, format!("INNOCENT={PLAIN}\0").as_bytes()), "other values stay");
    assert!(!holds(&by_default.bytes, TOKEN.as_bytes()), "the value is nowhere, on no stack either");
    let kept = dump_with(target.pid(), ["--keep-environ"]);
    let environment = kept.stream(ENVIRONMENT).unwrap();
    assert!(holds(&environment, format!("DEPLOY_API_TOKEN={TOKEN}\0").as_bytes()));
}

#[test]
fn full_memory_has_no_secret_environment_either() {
    let target = start();
    let open = dump_with(target.pid(), ["--memory", "full", "--keep-environ"]);
    assert!(holds(&open.bytes, format!("DEPLOY_API_TOKEN={TOKEN}\0").as_bytes()));
    let full = dump_with(target.pid(), ["--memory", "full"]);
    let count =
        |dump: &Dump| dump.bytes.windows(TOKEN.len()).filter(|window| *window == TOKEN.as_bytes()).count();
    // The stream and the place where the kernel put it; what the program copied elsewhere is its own affair.
    assert!(count(&full) + 2 <= count(&open), "{} of {} copies are left", count(&full), count(&open));
}

#[test]
fn sanitising_keeps_what_unwinding_needs_and_nothing_else() {
    let target = start();
    let dump = dump_with(target.pid(), ["--sanitize"]);
    assert_sanitised(&dump, &target.facts);
}

#[test]
fn sanitised_dumps_unwind_to_the_same_frames() {
    let Some(program) = needs::stackwalk("sanitised_dumps_unwind_to_the_same_frames") else { return };
    for scenario in [vec!["threads", "16"], vec!["deep-threads", "4"], vec!["secrets"]] {
        let target = Target::start(&scenario);
        let frames = |dump: &Dump| frames(&stackwalk(&program, dump));
        let plain = frames(&dump(target.pid()));
        let sanitised = frames(&dump_with(target.pid(), ["--sanitize"]));
        assert!(
            plain.iter().all(|(_, frames)| frames.len() > 1),
            "{scenario:?}: stacks are unwound: {plain:?}"
        );
        assert_eq!(sanitised, plain, "{scenario:?}");
    }
}

#[test]
fn show_says_that_a_dump_is_sanitised_and_unwinds_it() {
    let target = Target::start(["threads", "3"]);
    let shown = |dump: &Dump| -> Value {
        let mut command = Command::new(programs::dumper());
        let finished = end_to_end::process::run(command.arg("show").arg(&dump.path).arg("--json"));
        serde_json::from_slice(&finished.expect_success("show").stdout).unwrap()
    };
    let (plain, sanitised) = (shown(&dump(target.pid())), shown(&dump_with(target.pid(), ["--sanitize"])));
    assert_eq!((&plain["is_sanitised"], &sanitised["is_sanitised"]), (&false.into(), &true.into()));
    assert_eq!(plain["threads"], sanitised["threads"], "threads and all their frames");
}

#[test]
fn every_stream_that_can_be_left_out_is_left_out_when_asked() {
    let target = start();
    let whole = dump_with(target.pid(), ["--annotate", "key=value"]);
    for (name, number) in [
        ("handle-data", 12),
        ("misc-info", 15),
        ("memory-info", 16),
        ("thread-info", 17),
        ("thread-names", 24),
        ("annotations", 0x4350_0001),
        ("cpu-info", 0x4767_0003),
        ("proc-status", 0x4767_0004),
        ("cmd-line", COMMAND_LINE),
        ("environ", ENVIRONMENT),
        ("auxv", 0x4767_0008),
        ("maps", 0x4767_0009),
        ("dso-debug", 0x4767_000a),
        ("limits", 0x4d7a_0003),
        ("thread-extras", 0x4d44_0002),
    ] {
        assert!(whole.stream(number).is_some(), "{name} is there when nobody minds");
        let dump = dump_with(target.pid(), ["--annotate", "key=value", "--omit", name]);
        assert_eq!(dump.stream(number), None, "{name}");
        assert!(dump.context(target.parked()[0].tid).is_some(), "{name}: the dump is readable");
    }
}

#[test]
fn stacks_can_be_limited_to_those_that_refer_to_a_module() {
    let mut target = Target::start(["threads", "4"]);
    let parked = target.parked();
    let module = dump(target.pid()).module_at(code_address(&target)).unwrap();
    let address = format!("{:#x}", module.base + module.size / 2);
    let kept = dump_with(target.pid(), ["--stacks-referring-to", &address]);
    kept.assert_parked(&parked);
    // No stack refers to the page that the kernel's own data is in.
    let maps = end_to_end::proc_files::maps(target.pid());
    let vvar = maps.iter().find(|mapping| mapping.name.starts_with("[vvar")).expect("there is a vvar");
    let none = dump_with(target.pid(), ["--stacks-referring-to", &format!("{:#x}", vvar.start)]);
    let main = none.thread_ids()[0];
    assert!(none.stack_range(main).1 > 0, "the blamed thread keeps its stack");
    for thread in &parked {
        assert!(none.context(thread.tid).is_some(), "{} keeps its registers", thread.name);
        for (function, address, bytes) in &thread.frames {
            assert_eq!(none.memory(*address, bytes.len()), None, "{function} of {}", thread.name);
        }
    }
    assert_unharmed(&mut target);
}

/// An address in the crasher's code.
fn code_address(target: &Target) -> u64 {
    let dump = dump(target.pid());
    dump.context(target.parked()[0].tid).unwrap().rip
}

/// Thread ids with the places of their frames: module and offset, or the bare address.
fn frames(report: &Value) -> Vec<(u64, Vec<String>)> {
    let threads = report["threads"].as_array().unwrap().iter().map(|thread| {
        let frames = thread["frames"].as_array().unwrap().iter();
        let places =
            frames.map(|frame| format!("{} {} {}", frame["module"], frame["module_offset"], frame["trust"]));
        (number(thread, "thread_id"), places.collect())
    });
    threads.collect()
}
