//! Runs the program as a user does.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../src/show/testing.rs"]
mod testing;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use testing::{SyntheticDump, dump_without_files};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_minidump-writer")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Asserts that a run failed with `code` and exactly one sentence, which starts with `start` and ends with `end`.
fn assert_sentence(output: &Output, code: i32, start: &str, end: &str) {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert_eq!(output.stdout, b"");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 1, "{told}");
    assert!(lines[0].starts_with(&format!("error: {start}")) && lines[0].ends_with(end), "{told}");
}

fn file(place: &tempfile::TempDir, name: &str, bytes: &[u8]) -> String {
    let path = place.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().into()
}

#[test]
fn the_help_text_is_the_one_that_was_reviewed() {
    for name in ["help", "dump", "run", "handler", "core-handler", "show", "convert"] {
        let command = if name == "help" { "" } else { name };
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let output = program(&arguments);
        assert_eq!(output.status.code(), Some(0));
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.txt"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&path, &output.stdout).unwrap();
        }
        assert_eq!(text(&output.stdout), std::fs::read_to_string(&path).unwrap(), "{}", path.display());
    }
}

#[test]
fn nonsense_on_the_command_line_is_a_usage_error() {
    for arguments in [
        &[][..],
        &["fly"],
        &["dump"],
        &["dump", "0"],
        &["dump", "-1"],
        &["dump", "init"],
        &["dump", "99999999999"],
        &["dump", "1", "--deadline", "soon"],
        &["dump", "1", "--tid", "0"],
        &["dump", "1", "-o", "-", "--json"],
        &["dump", "1", "--omit", "stacks"],
        &["dump", "1", "--sanitize", "--memory", "full"],
        &["show"],
        &["show", "a", "b"],
        &["convert"],
        &["convert", "a"],
        &["convert", "a", "-o", "-", "--json"],
        &["convert", "a", "-o", "b", "--omit", "thread-list"],
    ] {
        let output = program(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    let told = text(&program(&["dump", "-7"]).stderr);
    assert!(told.starts_with("error: ") && told.contains("a process id is positive"), "{told}");
}

#[test]
fn files_that_are_no_dumps_get_a_sentence_each() {
    let place = tempfile::tempdir().unwrap();
    let random: Vec<u8> =
        (0..9000u32).map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    let empty = file(&place, "empty.dmp", b"");
    assert_sentence(&program(&["show", &empty]), 1, &format!("{empty} is empty"), "take it again");
    let noise = file(&place, "noise.dmp", &random);
    assert_sentence(
        &program(&["show", &noise]),
        1,
        &format!("{noise} is not a minidump"),
        "starts with MDMP",
    );
    let short = file(&place, "short.dmp", &dump_without_files()[..20]);
    assert_sentence(
        &program(&["show", &short]),
        1,
        &format!("{short} is not a minidump"),
        "starts with MDMP",
    );
    let cut = file(&place, "cut.dmp", &dump_without_files()[..48]);
    assert_sentence(&program(&["show", &cut]), 1, &format!("{cut} is damaged: "), "copy or take it again");
    let nowhere = place.path().join("nowhere.dmp");
    let start = format!("cannot open {}: ", nowhere.display());
    assert_sentence(
        &program(&["show", nowhere.to_str().unwrap()]),
        1,
        &start,
        "check the name and the permissions",
    );
    let directory = place.path().to_str().unwrap();
    assert_sentence(
        &program(&["show", directory]),
        1,
        &format!("{directory} is not a regular file"),
        "first",
    );
}

#[test]
fn what_cannot_be_converted_gets_a_sentence_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("new.dmp");
    let convert = |input: &str| program(&["convert", input, "-o", output.to_str().unwrap()]);
    let noise = file(&place, "noise", &[7; 5000]);
    assert_sentence(
        &convert(&noise),
        1,
        &format!("cannot convert {noise}: "),
        "give a minidump or the core of a program of Linux or macOS",
    );
    let empty = file(&place, "empty", b"");
    assert_sentence(&convert(&empty), 1, &format!("{empty} is empty"), "take it again");
    let own = env!("CARGO_BIN_EXE_minidump-writer");
    assert_sentence(
        &convert(own),
        1,
        &format!("cannot convert {own}: "),
        "give a minidump or the core of a program of Linux or macOS",
    );
    let packed = file(&place, "cut.zst", &zstd::encode_all(&[7; 5000][..], 3).unwrap()[..8]);
    let start = format!("{packed} is compressed and damaged: ");
    assert_sentence(&convert(&packed), 1, &start, "copy or take it again");
    let directory = place.path().to_str().unwrap();
    assert_sentence(&convert(directory), 1, &format!("{directory} is a directory"), "give a dump");
    let missing = place.path().join("missing");
    let start = format!("cannot open {}: ", missing.display());
    assert_sentence(&convert(missing.to_str().unwrap()), 1, &start, "check the name and the permissions");
    let minidump = file(&place, "a.dmp", &dump_without_files());
    let output = program(&["convert", &minidump, "-o", "/dev/null", "--memory", "full"]);
    assert_sentence(&output, 1, &format!("{minidump} is a minidump"), "chooses from a core");
    assert!(!place.path().join("new.dmp").exists());
}

#[test]
fn a_program_is_no_dump() {
    let own = env!("CARGO_BIN_EXE_minidump-writer");
    let start = format!("{own} cannot be shown: ");
    assert_sentence(
        &program(&["show", own]),
        1,
        &start,
        "give a minidump or the core of a program of Linux or macOS",
    );
}

#[test]
fn a_compressed_dump_is_shown_as_if_it_were_not() {
    let place = tempfile::tempdir().unwrap();
    let plain = file(&place, "a.dmp", &dump_without_files());
    let packed = file(&place, "b.dmp", &zstd::encode_all(dump_without_files().as_slice(), 3).unwrap());
    let of_threads = |path: &str| {
        let text = text(&program(&["show", path]).stdout);
        text.lines().skip_while(|line| !line.starts_with("thread ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(of_threads(&plain).len() > 3);
    assert_eq!(of_threads(&packed), of_threads(&plain));
    assert!(text(&program(&["show", &packed]).stdout).contains(", compressed from "));
}

#[test]
fn a_pipe_is_refused_without_waiting_for_a_writer() {
    let place = tempfile::tempdir().unwrap();
    let pipe = place.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = pipe.to_str().unwrap();
    assert_sentence(&program(&["show", pipe]), 1, &format!("{pipe} is not a regular file"), "first");
}

#[test]
fn names_in_a_dump_and_of_its_file_cannot_steer_the_terminal() {
    let place = tempfile::tempdir().unwrap();
    let path = file(&place, "\u{1b}[31m.dmp", &dump_without_files());
    let foreign = |character: char| character != '\n' && character.is_control();
    for arguments in [&["show", &path][..], &["show", &path, "--json"]] {
        let output = program(arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(!text(&output.stdout).contains(foreign), "{:?}", text(&output.stdout));
        assert_eq!(output.stderr, b"");
    }
    let told = text(&program(&["show", "\u{1b}[31m"]).stderr);
    assert!(told.starts_with("error: cannot open \\u{1b}[31m: ") && !told.contains(foreign), "{told:?}");
}

#[test]
fn a_dump_is_shown_as_text_and_as_one_json_object() {
    let place = tempfile::tempdir().unwrap();
    let path = file(&place, "a.dmp", &dump_without_files());
    let shown = text(&program(&["show", &path]).stdout);
    assert!(shown.starts_with("crash reason  dump requested, no crash\n"), "{shown}");
    assert!(shown.contains(
        "\nthread 11 \"evil\\u{1b}]0;x\\u{7}\" (blamed)\n  #0   ??  [app\\u{1b}[2J+0x100, registers]\n"
    ));
    assert!(shown.contains("\n1 soft error of the writer\n  gone\\u{9b}\n"), "{shown}");
    let json: serde_json::Value =
        serde_json::from_slice(&program(&["show", &path, "--json"]).stdout).unwrap();
    assert_eq!(json["file"], path.as_str());
    assert_eq!(json["crash"]["crashed"], false);
    assert_eq!(json["threads"][0]["id"], 11);
    assert_eq!(json["threads"][0]["frames"][1]["trust"], "scan");
    assert_eq!(json["modules"][0]["base"], "0x555500000000");
}

#[test]
fn a_crash_is_told_with_its_signal() {
    let place = tempfile::tempdir().unwrap();
    let dump = SyntheticDump {
        module: "/nowhere/app".into(),
        id: vec![1; 20],
        size: 0x1000,
        instruction: SyntheticDump::BASE,
        stack: Vec::new(),
        code: 11,
    };
    let path = file(&place, "a.dmp", &dump.build());
    let json: serde_json::Value =
        serde_json::from_slice(&program(&["show", &path, "--json"]).stdout).unwrap();
    assert_eq!(json["crash"]["crashed"], true);
    assert!(json["crash"]["reason"].as_str().unwrap().starts_with("SIGSEGV"), "{}", json["crash"]);
}

/// The program's own file as a module: its id, and the addresses of two functions.
fn own_module() -> (PathBuf, Vec<u8>, u64, u64) {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_minidump-writer"));
    let bytes = std::fs::read(&path).unwrap();
    let elf = object::File::parse(bytes.as_slice()).unwrap();
    let id = elf.build_id().unwrap().map_or_else(|| text_hash(&elf), <[u8]>::to_vec);
    let address = |name: &str| elf.symbols().find(|symbol| symbol.name() == Ok(name)).unwrap().address();
    (path, id, address("main"), address("_start"))
}

fn text_hash(elf: &object::File) -> Vec<u8> {
    let code = elf.section_by_name(".text").unwrap().data().unwrap();
    let mut hash = vec![0; 16];
    code[..code.len().min(4096)].iter().enumerate().for_each(|(index, byte)| hash[index % 16] ^= byte);
    hash
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn frames_are_found_by_call_frame_information_and_named_from_the_very_file() {
    let place = tempfile::tempdir().unwrap();
    let (module, id, main, start) = own_module();
    // At the first instruction of a function the return address is what the stack pointer points at.
    let dump = |id: Vec<u8>, module: &Path| SyntheticDump {
        module: module.to_str().unwrap().into(),
        id,
        size: 0x1000_0000,
        instruction: SyntheticDump::BASE + main,
        stack: vec![SyntheticDump::BASE + start + 4],
        code: u32::MAX,
    };
    let show = |bytes: Vec<u8>| -> serde_json::Value {
        let path = file(&place, "a.dmp", &bytes);
        serde_json::from_slice(&program(&["show", &path, "--json"]).stdout).unwrap()
    };
    let json = show(dump(id.clone(), &module).build());
    let frames = json["threads"][0]["frames"].as_array().unwrap();
    assert_eq!(frames[0]["function"], "main");
    assert_eq!(frames[0]["function_offset"], "0x0");
    assert_eq!(frames[0]["trust"], "context");
    assert_eq!(frames[1]["function"], "_start");
    assert_eq!(frames[1]["function_offset"], "0x3");
    assert_eq!(frames[1]["trust"], "call_frame_info");
    // _start says that nobody called it.
    assert_eq!(frames.len(), 2, "{json}");
    assert_eq!(json["modules"][0]["symbols"], "lines");

    let mut other = id;
    other[0] ^= 1;
    let json = show(dump(other, &module).build());
    assert_eq!(json["threads"][0]["frames"][0]["function"], serde_json::Value::Null);
    assert_eq!(json["modules"][0]["symbols"], "mismatch");
}

#[test]
fn a_bad_destination_is_refused_before_anything_else_happens() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().to_str().unwrap();
    let own = std::process::id().to_string();
    let output = program(&["dump", &own, "-o", directory]);
    assert_sentence(&output, 1, &format!("{directory} is a directory"), "choose a file with -o FILE");
    let missing = place.path().join("no/such.dmp");
    let output = program(&["dump", &own, "-o", missing.to_str().unwrap()]);
    assert_sentence(&output, 1, &format!("cannot create {}: ", missing.display()), "with -o FILE");
    let output = program(&["dump", &own, "-o", "/dev/null", "--show"]);
    assert_sentence(&output, 1, "/dev/null is a pipe or a device", "choose a file with -o FILE");
}

#[test]
fn a_process_that_does_not_exist_leaves_no_file() {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_minidump-writer"))
        .args(["dump", "2147483647"])
        .current_dir(place.path())
        .output()
        .unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told.starts_with("error: ") && told.contains("2147483647") && told.lines().count() == 1,
        "{told}"
    );
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_reader_that_goes_away_from_show_is_no_error() {
    let place = tempfile::tempdir().unwrap();
    let path = file(&place, "a.dmp", &dump_without_files());
    let mut child = Command::new(env!("CARGO_BIN_EXE_minidump-writer"))
        .args(["show", &path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}
