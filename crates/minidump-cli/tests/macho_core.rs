//! Mach-O cores on the command line: shown, converted, refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use minidump_writer::formats::macho_core::{MachoCoreOptions, layout};
use minidump_writer::snapshot::cpu::Amd64State;
use minidump_writer::snapshot::{
    AppleFacts, BufferSource, Cpu, CpuState, Exception, MemoryPlan, OperatingSystem, PlannedRange, Process,
    Protection, Purpose, Region, RegionKind, Snapshot, System, Thread, ThreadStack,
};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const STACK: u64 = 0x7000_0000;

/// A crashed process of macOS with one thread and its stack.
fn core() -> Vec<u8> {
    let cpu = Cpu::Amd64 {
        vendor: *b"GenuineIntel",
        version_information: 0,
        feature_information: 0,
        extended_features: 0,
        xsave: vec![],
    };
    let system = System {
        os: OperatingSystem::MacOs,
        version: (14, 5, 0),
        description: "Darwin".into(),
        cpu,
        cpu_count: 8,
        cpu_max_mhz: None,
        page_size: 4096,
        build: "test".into(),
    };
    let mut snapshot = Snapshot::new(Process { pid: 41, ..Process::default() }, system);
    let state = Amd64State { rip: 0x1234, rsp: STACK, ..Amd64State::default() };
    let mut thread = Thread::new(7);
    thread.cpu = Some(CpuState::Amd64(Box::new(state)));
    snapshot.threads = vec![thread];
    snapshot.blamed_thread = Some(7);
    snapshot.regions = vec![Region {
        start: STACK,
        end: STACK + 0x1000,
        protection: Protection::READ | Protection::WRITE,
        shared: false,
        kind: RegionKind::Anonymous,
        dont_dump: false,
        offset: 0,
        name: vec![],
    }];
    snapshot.exception =
        Some(Exception { thread: 7, code: 1, flags: 1, address: 16, parameters: vec![1, 1, 16] });
    snapshot.apple = Some(AppleFacts { cpu_type: 0x0100_0007, ..AppleFacts::default() });
    let range = PlannedRange { start: STACK, size: 64, purpose: Purpose::BlamedStack };
    let stack = ThreadStack { thread: 7, start: STACK, size: 64 };
    let plan = MemoryPlan::from_ranges(vec![range], vec![stack]);
    let mut source = BufferSource::new();
    assert!(source.insert(STACK, vec![0x5a; 64]));
    let mut bytes = Vec::new();
    layout(&snapshot, &plan, &MachoCoreOptions::default()).unwrap().write(&source, &mut bytes).unwrap();
    bytes
}

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_minidump-writer")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_macho_core_is_converted_to_the_formats_of_its_system() {
    let place = tempfile::tempdir().unwrap();
    let [core_file, dump, again] = ["a.core", "a.dmp", "again.core"].map(|file| place.path().join(file));
    std::fs::write(&core_file, core()).unwrap();
    let output = program(&["convert", name(&core_file), "-o", name(&dump)]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(std::fs::read(&dump).unwrap().starts_with(b"MDMP"));
    let output = program(&["convert", name(&core_file), "-o", name(&again), "--format", "macho-core"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(std::fs::read(&again).unwrap() == core(), "nothing is lost");
    let other = place.path().join("other.core");
    let output = program(&["convert", name(&core_file), "-o", name(&other), "--format", "core"]);
    assert_eq!(output.status.code(), Some(1));
    let sentence = text(&output.stderr);
    let expected = "a process of an Apple system cannot become an ELF core; choose a minidump or the system's own \
                    core format\n";
    assert!(sentence.ends_with(expected), "{sentence}");
    assert!(!other.exists());
}

#[test]
fn a_macho_core_is_shown() {
    let place = tempfile::tempdir().unwrap();
    let core_file = place.path().join("a.core");
    std::fs::write(&core_file, core()).unwrap();
    let output = program(&["show", name(&core_file)]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("a Mach-O core"), "{}", text(&output.stdout));
    let output = program(&["show", "--json", name(&core_file)]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["format"], "macho_core");
}

#[test]
fn a_process_of_linux_is_not_dumped_as_a_macho_core() {
    let output = program(&["dump", "1", "--format", "macho-core"]);
    assert_eq!(output.status.code(), Some(2));
    let sentence = text(&output.stderr);
    assert!(sentence.contains("use --format core or minidump"), "{sentence}");
}
