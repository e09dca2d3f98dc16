//! Supervises this test program, run once more with the wish to crash.
//!
//! The supervisor closes standard streams and is the debugger of all that its thread starts, so it gets a process of its own
//! as well: a test starts [`supervisor_process`], which supervises [`victim::victim_process`] and puts down what it was told.

mod victim;

use super::supervise;
use minidump::{Minidump, MinidumpException, MinidumpModuleList, MinidumpThreadList, Module as _};
use minidump_writer::DumpOptions;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the victim is to do, and where the supervisor puts down what happens.
const KIND: &str = "VICTIM_OF_TEST";
const PLACE: &str = "SUPERVISOR_OF_TEST";

/// This test program once more, to run one of its tests alone.
fn again(test: &str) -> Vec<OsString> {
    let test = format!("supervisor::tests::{test}");
    let program = std::env::current_exe().unwrap().into_os_string();
    [program, "--exact".into(), "--nocapture".into(), test.into()].into()
}

/// What came of supervising a victim.
struct Outcome {
    place: tempfile::TempDir,
    /// The exit code of the supervisor.
    code: u32,
    /// What it was told of each crash.
    crashes: Vec<Value>,
}

impl Outcome {
    fn of(kind: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let words = again("supervisor_process");
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env(KIND, kind).env(PLACE, place.path());
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
        let code = status.code().unwrap().cast_unsigned();
        let read = |number| fs::read(told(place.path(), number)).ok();
        let crashes = (0..).map_while(read).map(|text| serde_json::from_slice(&text).unwrap()).collect();
        Self { place, code, crashes }
    }

    /// The one crash of the victim, which dies of it.
    fn crash(kind: &str) -> (Self, Value) {
        let outcome = Self::of(kind);
        assert_eq!(outcome.crashes.len(), 1, "{:?}", outcome.crashes);
        let crash = outcome.crashes[0].clone();
        (outcome, crash)
    }
}

fn told(place: &Path, number: u32) -> PathBuf {
    place.join(format!("{number}.json"))
}

/// The supervisor of a test. Ends as the victim does.
#[test]
fn supervisor_process() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let mut number = 0;
    let ended = supervise(&again("victim::victim_process"), &mut |crashed| {
        let death = crashed.death();
        let mut dump = File::create(place.join(format!("{number}.dmp"))).unwrap();
        let dumped = crashed.dump(&DumpOptions::default(), &mut dump);
        let crash = json!({
            "pid": death.pid,
            "tid": death.tid,
            "in_first_thread": death.is_in_first_thread,
            "thread": death.exception.thread,
            "code": death.exception.code,
            "flags": death.exception.flags,
            "address": death.exception.address,
            "parameters": death.exception.parameters,
            "name": crashed.name(),
            "executable": crashed.executable(),
            "error": dumped.err().map(|error| error.to_string()),
        });
        fs::write(told(&place, number), crash.to_string()).unwrap();
        number += 1;
    });
    std::process::exit(ended.unwrap().code().unwrap());
}

/// Asserts what every crash of a victim has in common, and gives back its record.
fn dies_of(kind: &str, code: u32) -> Value {
    let (outcome, crash) = Outcome::crash(kind);
    assert_eq!((crash["code"].as_u64(), outcome.code), (Some(code.into()), code), "{crash}");
    assert_eq!(crash["thread"], crash["tid"]);
    let own = std::env::current_exe().unwrap();
    assert_eq!(crash["name"].as_str(), own.file_name().unwrap().to_str());
    let told = PathBuf::from(crash["executable"].as_str().unwrap());
    assert_eq!(fs::canonicalize(told).unwrap(), fs::canonicalize(own).unwrap());
    assert_eq!(crash["error"], Value::Null);
    check_dump(&outcome.place.path().join("0.dmp"), &crash);
    crash
}

/// Asserts that the dump tells what the debugger was told, with the registers and the stack of the crash.
fn check_dump(path: &Path, crash: &Value) {
    let dump = Minidump::read_path(path).unwrap();
    let exception: MinidumpException = dump.get_stream().unwrap();
    let record = &exception.raw.exception_record;
    assert_eq!(crash["code"], record.exception_code);
    assert_eq!(crash["flags"], record.exception_flags);
    assert_eq!(crash["address"], record.exception_address);
    let count = usize::try_from(record.number_parameters).unwrap();
    assert_eq!(crash["parameters"], json!(record.exception_information[..count]));
    assert_eq!(crash["tid"], exception.thread_id);
    let (system, misc) = (dump.get_stream().unwrap(), dump.get_stream().ok());
    let context = exception.context(&system, misc.as_ref()).unwrap();
    // What stands at the end of the breakpoint, and of the call that raises an exception, is told otherwise.
    let distance = context.get_instruction_pointer().abs_diff(record.exception_address);
    assert!(distance < 0x100, "{distance:#x}");
    let threads: MinidumpThreadList = dump.get_stream().unwrap();
    let thread = threads.get_thread(exception.thread_id).unwrap();
    let memory = dump.get_memory().unwrap();
    let stack = thread.stack_memory(&memory).unwrap();
    assert!(stack.memory_range().unwrap().contains(context.get_stack_pointer()));
    let modules: MinidumpModuleList = dump.get_stream().unwrap();
    let own = std::env::current_exe().unwrap();
    let file = modules.main_module().unwrap().code_file().into_owned();
    assert_eq!(Path::new(&file).file_name(), own.file_name());
}

#[test]
fn a_bad_write_tells_where_it_went() {
    let crash = dies_of("write", 0xc000_0005);
    assert_eq!(crash["parameters"], json!([1, 0x10]));
    assert_ne!(crash["address"], 0);
}

#[test]
fn a_thread_of_its_own_is_told_from_the_first_one() {
    assert_eq!(dies_of("thread", 0xc000_0005)["in_first_thread"], false);
}

#[test]
fn faults_of_the_processor_end_the_program_with_their_code() {
    dies_of("divide", 0xc000_0094);
    dies_of("illegal", 0xc000_001d);
    dies_of("breakpoint", 0x8000_0003);
}

#[test]
fn an_overflowing_stack_is_told() {
    dies_of("overflow", 0xc000_00fd);
}

#[test]
fn a_program_that_gives_itself_up_is_told() {
    let crash = dies_of("fast-fail", 0xc000_0409);
    assert_eq!(crash["parameters"], json!([7]));
    dies_of("abort", 0xc000_0409);
}

#[test]
fn an_exception_that_nobody_catches_is_told_with_its_parameters() {
    let crash = dies_of("raise", 0xe06d_7363);
    assert_eq!(crash["parameters"], json!([0x1993_0520, 2, 3]));
    assert_eq!(crash["flags"], 1);
}

#[test]
fn what_a_program_handles_itself_makes_no_dump() {
    let outcome = Outcome::of("handled");
    assert_eq!((outcome.code, outcome.crashes), (42, vec![]));
}

#[test]
fn the_exit_code_is_passed_on_with_all_its_bits() {
    let outcome = Outcome::of("exit");
    assert_eq!((outcome.code, outcome.crashes), (0xdead_beef, vec![]));
}

#[test]
fn a_crash_of_a_child_is_told_and_the_command_goes_on() {
    let (outcome, crash) = Outcome::crash("parent");
    assert_eq!(outcome.code, 7, "the exit code of the child is what it would have been");
    assert_eq!(crash["code"], 0xc000_0005_u32);
}

#[test]
fn a_program_does_not_notice_that_it_has_a_debugger() {
    let outcome = Outcome::of("look");
    assert_eq!((outcome.code, outcome.crashes), (0, vec![]));
}

/// The victim says when it runs, waits for the end of its standard input, and notes that it got so far.
#[test]
fn a_program_outlives_a_supervisor_that_is_killed() {
    let place = tempfile::tempdir().unwrap();
    let words = again("supervisor_process");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(KIND, "outlive").env(PLACE, place.path());
    let mut supervisor = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(supervisor.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == victim::READY));
    let noted = place.path().join(victim::NOTED);
    assert!(!noted.exists());
    let input = supervisor.stdin.take().unwrap();
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    drop(input);
    // To the end of the victim, which alone has the other end now.
    lines.for_each(drop);
    assert_eq!(fs::read(noted).unwrap(), b"still here");
}

#[test]
fn texts_for_debuggers_do_no_harm() {
    let outcome = Outcome::of("text");
    assert_eq!((outcome.code, outcome.crashes), (3, vec![]));
}

#[test]
fn a_command_that_is_not_there_is_an_error() {
    let error = supervise(&["no-such-program-anywhere".into()], &mut |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("cannot start no-such-program-anywhere: "), "{error}");
    let super::SuperviseError::Start { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}
