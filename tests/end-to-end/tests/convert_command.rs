//! `convert`: cores of ours and of gdb become minidumps, minidumps become cores, and nothing is lost on the way.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

use end_to_end::dump::dump_command;
use end_to_end::process::{self, Finished};
use end_to_end::refusal::assert_refusal;
use end_to_end::target::{number, pattern};
use end_to_end::{Dump, Target, dump, dump_with, needs, programs};
use minidump::{Minidump, MinidumpCrashpadInfo, MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadList};
use object::elf::PT_LOAD;
use object::read::elf::{ElfFile64, ProgramHeader as _};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A core of a parked process in a folder of its own.
fn core_of(target: &Target, arguments: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target.core");
    let mut command = dump_command(target.pid());
    process::run(command.args(["--format", "core", "-o"]).arg(&path).args(arguments)).expect_success("dump");
    (folder, path)
}

fn convert(input: &Path, output: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(programs::dumper());
    process::run(command.arg("convert").arg(input).arg("-o").arg(output).args(arguments))
}

/// Converts and returns the new dump with what `--json` told.
#[track_caller]
fn converted(input: &Path, arguments: &[&str]) -> (Vec<u8>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    let all = [arguments, &["--json"]].concat();
    let finished = convert(input, &path, &all).expect_success("convert");
    let report: Value = serde_json::from_slice(&finished.stdout).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(report["bytes"], bytes.len());
    assert_eq!(report["path"], path.to_str().unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    (bytes, report)
}

#[test]
fn a_core_becomes_the_minidump_that_a_direct_dump_would_be() {
    let target = Target::start(["threads", "16"]);
    let direct = dump(target.pid());
    let (_folder, core) = core_of(&target, &[]);
    let (bytes, report) = converted(&core, &[]);
    assert_same(&bytes, &direct, &target);
    assert_eq!(number(&report, "threads"), 17);
    assert_eq!(report["modules"], direct.report["modules"]);
}

#[test]
fn a_core_of_gdb_becomes_the_minidump_that_a_direct_dump_would_be() {
    let Some(gdb) = programs::reader("GDB", &["gdb"]) else {
        let test = "a_core_of_gdb_becomes_the_minidump_that_a_direct_dump_would_be";
        return needs::missing(test, "there is no gdb");
    };
    let target = Target::start(["threads", "16"]);
    let direct = dump(target.pid());
    let folder = tempfile::tempdir().unwrap();
    let core = folder.path().join("gdb.core");
    let mut command = Command::new(gdb);
    command.args(["--batch", "--nx", "-p", &target.pid().to_string(), "-ex"]);
    process::run(command.arg(format!("generate-core-file {}", core.display()))).expect_success("gdb");
    let (bytes, _) = converted(&core, &[]);
    assert_same(&bytes, &direct, &target);
    // All that gdb wrote, when it is asked for.
    let (full, _) = converted(&core, &["--memory", "full"]);
    assert!(full.len() > 2 * bytes.len(), "{} and {} bytes", full.len(), bytes.len());
    assert_same(&full, &direct, &target);
}

/// Fails unless the minidump has the threads, registers, stacks and modules of the direct dump.
#[track_caller]
fn assert_same(bytes: &[u8], direct: &Dump, target: &Target) {
    let parsed = Minidump::read(bytes).unwrap();
    let system: MinidumpSystemInfo = parsed.get_stream().unwrap();
    let threads: MinidumpThreadList = parsed.get_stream().unwrap();
    let mut ids: Vec<u32> = threads.threads.iter().map(|thread| thread.raw.thread_id).collect();
    let mut expected = direct.thread_ids();
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    let memory = parsed.get_memory().unwrap();
    for parked in target.parked() {
        let thread = threads.get_thread(parked.tid).unwrap();
        let context = thread.context(&system, None).unwrap().into_owned();
        let MinidumpRawContext::Amd64(found) = context.raw else { panic!("a context of another machine") };
        let expected = direct.context(parked.tid).unwrap();
        let registers = |context: &minidump::format::CONTEXT_AMD64| {
            let general = [context.rip, context.rsp, context.rbp, context.rbx, context.rdi, context.rsi];
            (general, [context.r12, context.r13, context.r14, context.r15], context.eflags)
        };
        assert_eq!(registers(&found), registers(&expected), "{}", parked.name);
        assert_eq!(found.float_save[160..416], expected.float_save[160..416], "XMM of {}", parked.name);
        for (function, address, expected) in &parked.frames {
            let range = memory.memory_at_address(*address).unwrap();
            let offset = usize::try_from(address - range.base_address()).unwrap();
            assert_eq!(
                &range.bytes()[offset..offset + expected.len()],
                expected,
                "{function} of {}",
                parked.name
            );
        }
    }
    let modules: minidump::MinidumpModuleList = parsed.get_stream().unwrap();
    for expected in direct.modules().iter().filter(|module| module.path.starts_with('/')) {
        let found = modules.iter().find(|module| module.raw.base_of_image == expected.base);
        let found = found.unwrap_or_else(|| panic!("{} is missing", expected.path));
        assert_eq!(found.name, expected.path);
        let id = match &found.codeview_info {
            Some(minidump::CodeView::Elf(record)) => record.build_id.clone(),
            _ => Vec::new(),
        };
        assert_eq!(id, expected.id, "the id of {}", expected.path);
    }
}

#[test]
fn standard_input_and_output_and_compression_can_be_combined() {
    let target = Target::start(["threads", "4"]);
    let direct = dump(target.pid());
    for (dumped, options) in [(&[][..], &[][..]), (&["--compress"], &[]), (&["--compress"], &["--compress"])]
    {
        let (_folder, core) = core_of(&target, dumped);
        let mut command = Command::new(programs::dumper());
        command.args(["convert", "-", "-o", "-"]).args(options);
        let finished = process::run_with_input(&mut command, File::open(&core).unwrap());
        let bytes = finished.expect_success("convert").stdout;
        let bytes = if options.is_empty() { bytes } else { zstd::decode_all(bytes.as_slice()).unwrap() };
        assert_same(&bytes, &direct, &target);
        let (by_name, _) = converted(&core, &[]);
        assert!(by_name == bytes, "a file gives the same as a pipe");
    }
}

#[test]
fn a_minidump_becomes_a_core_with_its_memory() {
    let target = Target::start(["threads", "4"]);
    let direct = dump(target.pid());
    let (core, report) = converted(&direct.path, &[]);
    assert_eq!(number(&report, "threads"), 5);
    let loads = loads(&core);
    for parked in target.parked() {
        for (function, address, expected) in &parked.frames {
            let found = bytes_at(&core, &loads, *address, expected.len());
            assert_eq!(found, Some(expected.as_slice()), "{function} of {}", parked.name);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.core");
    std::fs::write(&path, &core).unwrap();
    let (back, _) = converted(&path, &[]);
    assert_same(&back, &direct, &target);
}

#[test]
fn gdb_opens_a_core_made_of_a_minidump() {
    let Some(gdb) = programs::reader("GDB", &["gdb"]) else {
        return needs::missing("gdb_opens_a_core_made_of_a_minidump", "there is no gdb");
    };
    let target = Target::start(["threads", "4"]);
    let direct = dump(target.pid());
    let (core, _) = converted(&direct.path, &["--format", "core"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.core");
    std::fs::write(&path, core).unwrap();
    let mut command = Command::new(gdb);
    command
        .args(["--batch", "--nx", "-ex", "thread apply all backtrace"])
        .arg(programs::crasher())
        .arg(&path);
    let finished = process::run(&mut command).expect_success("gdb");
    let text = String::from_utf8_lossy(&finished.stdout).into_owned();
    for parked in target.parked() {
        assert!(text.contains(&format!("LWP {}", parked.tid)), "thread {} in {text}", parked.tid);
    }
    for function in ["inner_wait", "middle", "outer"] {
        let count = text.matches(&format!("crasher::chain::{function} ")).count();
        assert_eq!(count, 4, "{function} of each worker in {text}");
    }
}

#[test]
fn show_reads_a_core_as_it_reads_a_minidump() {
    let target = Target::start(["threads", "4"]);
    let direct = dump(target.pid());
    let (_folder, core) = core_of(&target, &[]);
    let show = |path: &Path| -> Value {
        let mut command = Command::new(programs::dumper());
        let finished = process::run(command.arg("show").arg(path).arg("--json")).expect_success("show");
        serde_json::from_slice(&finished.stdout).unwrap()
    };
    let (of_core, of_minidump) = (show(&core), show(&direct.path));
    assert_eq!((&of_core["format"], &of_minidump["format"]), (&"core".into(), &"minidump".into()));
    assert_eq!(of_core["bytes"], std::fs::metadata(&core).unwrap().len());
    let frames = |shown: &Value| -> Vec<(u64, Value)> {
        let mut threads: Vec<_> = shown["threads"]
            .as_array()
            .unwrap()
            .iter()
            .map(|thread| (number(thread, "id"), thread["frames"].clone()))
            .collect();
        threads.sort_by_key(|(id, _)| *id);
        threads
    };
    assert_eq!(frames(&of_core), frames(&of_minidump));
}

#[test]
fn a_core_can_be_dumped_and_shown_in_one_go() {
    let target = Target::start(["threads", "2"]);
    let core = dump_with(target.pid(), ["--format", "core", "--show"]);
    assert!(core.bytes.starts_with(b"\x7fELF"));
    let shown = &core.report["show"];
    assert_eq!((&shown["format"], &shown["process"]["pid"]), (&"core".into(), &target.pid().into()));
    let inner = shown["threads"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|thread| thread["frames"][0]["function"] == "crasher::chain::inner_wait");
    assert_eq!(inner.count(), 2, "{shown}");
}

#[test]
fn annotations_and_privacy_options_work_on_the_way() {
    let target = Target::start(["secrets", "swordfish-on-the-command-line"]);
    let direct = dump_with(target.pid(), ["--annotate", "old=1"]);
    let (_, secret) = pattern(&target.facts["text"]);
    let arguments = ["--format", "minidump", "--sanitize", "--omit", "cmdline", "--annotate", "new=2"];
    let (bytes, _) = converted(&direct.path, &arguments);
    let holds = |bytes: &[u8], needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(holds(&direct.bytes, &secret) && !holds(&bytes, &secret));
    assert!(holds(&direct.bytes, b"swordfish") && !holds(&bytes, b"swordfish"));
    let parsed = Minidump::read(bytes.as_slice()).unwrap();
    let info: MinidumpCrashpadInfo = parsed.get_stream().unwrap();
    let annotations: Vec<(&str, &str)> =
        info.simple_annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(annotations, [("new", "2"), ("old", "1")]);
}

#[test]
fn a_dump_cut_anywhere_is_converted_or_refused_and_never_left_half() {
    let target = Target::start(["threads", "2"]);
    let direct = dump(target.pid());
    let (_folder, core) = core_of(&target, &[]);
    let folder = tempfile::tempdir().unwrap();
    let (cut, output) = (folder.path().join("cut"), folder.path().join("new"));
    for whole in [direct.bytes.clone(), std::fs::read(core).unwrap()] {
        for part in 0..24 {
            std::fs::write(&cut, &whole[..whole.len() * part / 24]).unwrap();
            std::fs::write(&output, "older").unwrap();
            let finished = convert(&cut, &output, &[]);
            if !finished.status.success() {
                assert_refusal(&finished, &[cut.to_str().unwrap()]);
                assert_eq!(std::fs::read(&output).unwrap(), b"older", "an older file is left alone");
            }
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn a_full_device_is_told() {
    let target = Target::start(["threads", "2"]);
    let direct = dump(target.pid());
    let finished = convert(&direct.path, Path::new("/dev/full"), &[]);
    assert_refusal(&finished, &["No space left", "-o FILE"]);
}

/// The loaded segments of a core: address, offset in the file, bytes in the file.
#[track_caller]
fn loads(core: &[u8]) -> Vec<(u64, u64, u64)> {
    let file = ElfFile64::<object::Endianness>::parse(core).unwrap();
    let endian = file.endian();
    let headers = file.elf_program_headers().iter();
    let loads = headers.filter(|header| header.p_type(endian) == PT_LOAD);
    loads.map(|header| (header.p_vaddr(endian), header.p_offset(endian), header.p_filesz(endian))).collect()
}

fn bytes_at<'a>(core: &'a [u8], loads: &[(u64, u64, u64)], address: u64, length: usize) -> Option<&'a [u8]> {
    let (start, offset, _) =
        loads.iter().find(|(start, _, size)| *start <= address && address + length as u64 <= start + size)?;
    let from = usize::try_from(offset + (address - start)).ok()?;
    core.get(from..from + length)
}
