//! A program with a client, its handler, and what becomes of its crashes.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::core_pattern::{crash_of, dumps_in};
use end_to_end::process::{self, Guarded, wait_until};
use end_to_end::protected::{Setting, is_alive, signal};
use end_to_end::{Dump, needs, programs};
use libc::{SIGCONT, SIGKILL, SIGSEGV, SIGSTOP};
use minidump::{MinidumpCrashpadInfo, MinidumpException};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The user and the group `nobody`.
const NOBODY: u32 = 65534;
/// The stream of the first attachment (docs/minidump-format.md).
const ATTACHMENT: u32 = 0x4d44_0100;

/// What a dump says of itself by keys.
fn annotation(dump: &Dump, key: &str) -> Option<String> {
    let parsed = dump.parse();
    let info: MinidumpCrashpadInfo = parsed.get_stream().unwrap();
    info.simple_annotations.get(key).cloned()
}

/// Seconds are for a handler that is given up, and this is to be tested now.
fn impatient() -> Setting {
    Setting::with_handler().variable("CRASHER_PATIENCE", "200")
}

#[test]
fn the_handler_dumps_a_crash_and_ends_with_the_program() {
    let mut program = Setting::with_handler().start();
    let handler = program.handler();
    assert!(is_alive(handler));
    program.target.ask("annotate channel beta");
    let (ended_by, facts) = program.crash("null");
    assert_eq!(ended_by, Some(SIGSEGV));
    let (dump, metadata) = program.dump_alone();
    let tid = u32::try_from(facts["tid"].as_u64().unwrap()).unwrap();
    assert_eq!(crash_of(&dump), (SIGSEGV.unsigned_abs(), 0, tid));
    assert_eq!(metadata["source"], "handler");
    assert_eq!(metadata["reason"], "SIGSEGV at 0x0");
    assert_eq!(metadata["pid"], facts["pid"]);
    assert_eq!(metadata["executable"], programs::crasher().to_str().unwrap());
    for (key, value) in [("version", "7.8.9"), ("crasher", "protected"), ("channel", "beta")] {
        assert_eq!(annotation(&dump, key).as_deref(), Some(value));
        assert_eq!(metadata["annotations"][key], value);
    }
    wait_until("the handler ends", || !is_alive(handler));
    let files = fs::read_dir(program.directory().join("new")).unwrap().count();
    assert_eq!(files, 0, "what was reserved for a dump by the program itself is gone");
}

#[test]
fn the_vector_registers_of_the_crash_are_in_the_dump() {
    let mut program = Setting::with_handler().start();
    program.handler();
    let (_, facts) = program.crash("null");
    let (dump, _) = program.dump_alone();
    let tid = u32::try_from(facts["tid"].as_u64().unwrap()).unwrap();
    let xsave = dump.xsave(tid).expect("XSAVE is there where the processor has it");
    // The features of the image, where ptrace tells them, and those in use: x87, SSE and AVX.
    let features = u64::from_le_bytes(xsave[464..472].try_into().unwrap());
    assert_eq!(features & 7, 7, "{features:#x}");
    assert_eq!(xsave[472..512], [0; 40], "the kernel's own notes are not there");
}

#[test]
fn a_handler_that_dies_is_replaced() {
    let mut program = Setting::with_handler().start();
    let first = program.handler();
    signal(first, SIGKILL);
    let second = program.handler_but(first);
    assert!(is_alive(second) && !is_alive(first));
    assert_eq!(program.crash("null").0, Some(SIGSEGV));
    assert_eq!(program.dump_alone().1["source"], "handler");
}

#[test]
fn a_crash_right_after_the_death_of_the_handler_has_a_dump() {
    for _ in 0..10 {
        let mut program = Setting::with_handler().start();
        signal(program.handler(), SIGKILL);
        assert_eq!(program.crash("null").0, Some(SIGSEGV));
        let (dump, _) = program.dump_alone();
        assert_eq!(crash_of(&dump).0, SIGSEGV.unsigned_abs());
    }
}

#[test]
fn a_program_whose_handler_stands_still_writes_its_dump_itself() {
    let mut program = impatient().start();
    let handler = program.handler();
    signal(handler, SIGSTOP);
    program.target.ask("annotate channel beta");
    let (ended_by, facts) = program.crash("null");
    assert_eq!(ended_by, Some(SIGSEGV));
    let (dump, metadata) = program.dump_alone();
    assert_eq!(metadata["source"], "client");
    assert_eq!((&metadata["pid"], &metadata["partial"]), (&facts["pid"], &false.into()));
    assert_eq!(metadata["annotations"]["channel"], "beta");
    assert_eq!(annotation(&dump, "channel").as_deref(), Some("beta"));
    let tid = u32::try_from(facts["tid"].as_u64().unwrap()).unwrap();
    assert_eq!(crash_of(&dump), (SIGSEGV.unsigned_abs(), 0, tid));
    // What it asked for before is of no use to anybody.
    signal(handler, SIGCONT);
    wait_until("the handler ends", || !is_alive(handler));
    assert_eq!(program.dumps().len(), 1);
}

#[test]
fn a_program_without_a_handler_writes_its_dump_itself() {
    let mut program = Setting::new().start();
    assert_eq!(program.crash("null").0, Some(SIGSEGV));
    assert_eq!(program.dump_alone().1["source"], "client");
}

#[test]
fn children_that_die_at_once_without_a_handler_have_a_dump_each() {
    let mut program = Setting::new().start();
    program.target.tell("children 20");
    let mut told = program.target.next_line();
    while told["killed"].is_null() {
        told = program.target.next_line();
    }
    assert_eq!(told["killed"], 20);
    assert_eq!(program.dumps().len(), 20);
}

#[test]
fn a_program_is_dumped_when_it_asks_and_goes_on() {
    let mut program = Setting::with_handler().start();
    program.handler();
    let path = program.dump("memory is short").unwrap();
    let (dump, metadata) = program.dump_alone();
    assert_eq!(
        Dump::of(fs::read(path).unwrap()).parse().header.time_date_stamp,
        dump.parse().header.time_date_stamp
    );
    assert_eq!(metadata["reason"], "asked for: memory is short");
    assert_eq!(annotation(&dump, "reason").as_deref(), Some("memory is short"));
    let parsed = dump.parse();
    // MINIDUMP_EXCEPTION code of Breakpad's linux_libc: DUMP_REQUESTED.
    let exception: MinidumpException = parsed.get_stream().unwrap();
    assert_eq!(exception.raw.exception_record.exception_code, u32::MAX);
    assert_eq!(exception.raw.thread_id, program.target.tid("tid"));
    assert_eq!(program.crash("null").0, Some(SIGSEGV));
    assert_eq!(program.dumps().len(), 2);
}

#[test]
fn without_a_handler_a_wish_for_a_dump_is_an_error() {
    let mut program = Setting::new().start();
    assert_eq!(program.dump("x").unwrap_err(), "there is no handler that could write a dump");
}

#[test]
fn a_thread_that_stops_beating_is_dumped_once() {
    let mut program = Setting::with_handler().start();
    program.handler();
    program.target.ask("beat 50");
    wait_until("a dump of the hang", || program.dumps().len() == 1);
    let (dump, metadata) = program.dump_alone();
    let tid = program.target.tid("tid");
    assert_eq!(metadata["reason"], format!("hang: no sign of life of thread {tid} for 50 ms"));
    assert_eq!(crash_of(&dump).2, tid);
    // It beats again, and stops again.
    program.target.ask("beat");
    wait_until("a dump of the second hang", || program.dumps().len() == 2);
    assert_eq!(program.crash("null").0, Some(SIGSEGV));
    assert_eq!(program.dumps().len(), 3);
}

#[test]
fn a_handler_of_the_program_gets_the_signal_afterwards() {
    let mut program = Setting::with_handler().argument("quiet").start();
    program.handler();
    program.target.ask("crash null");
    assert_eq!(program.target.wait().code(), Some(42), "its own handler has ended it");
    assert_eq!(program.dump_alone().1["source"], "handler");
}

#[test]
fn files_of_a_program_that_has_closed_the_clients_are_left_alone() {
    for setting in [Setting::new(), impatient()] {
        let files = setting.folder().join("files");
        fs::create_dir(&files).unwrap();
        let mut program = setting.start();
        program.target.ask(&format!("close {}", files.display()));
        // The thread that looks after the handler has something to do, too.
        program.target.ask("beat 1");
        assert_eq!(program.crash("null").0, Some(SIGSEGV));
        let written: Vec<Vec<u8>> =
            fs::read_dir(&files).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
        assert_eq!(written, vec![b"mine".to_vec(); 32]);
    }
}

#[test]
fn what_is_stopped_leaves_nothing_behind() {
    let mut program = Setting::with_handler().start();
    let handler = program.handler();
    program.target.ask("stop");
    wait_until("the handler ends", || !is_alive(handler));
    assert_eq!(fs::read_dir(program.directory().join("new")).unwrap().count(), 0);
    let status = process_status(program.target.pid());
    let caught = u64::from_str_radix(&status["SigCgt:"], 16).unwrap();
    assert_eq!(caught & (1 << (SIGSEGV - 1)), 0, "nobody catches SIGSEGV any more");
}

/// The lines of /proc/PID/status by their keys.
fn process_status(pid: i32) -> std::collections::BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let words = text.lines().filter_map(|line| line.split_once('\t'));
    words.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn files_of_the_program_are_kept_with_its_dumps() {
    let setting = Setting::with_handler();
    let log = setting.folder().join("app.log");
    fs::write(&log, b"the last line\n").unwrap();
    let mut program = setting.variable("CRASHER_ATTACHMENT", &log).start();
    program.handler();
    program.crash("null");
    let (dump, metadata) = program.dump_alone();
    let stream = dump.stream(ATTACHMENT).unwrap();
    // Length of the name, the name, zeros up to a multiple of eight, the contents.
    assert_eq!(stream, b"\x07\0\0\0app.log\0\0\0\0\0the last line\n");
    assert_eq!(metadata["soft_errors"].as_array().unwrap().len(), 0);
}

#[test]
fn a_file_that_cannot_be_kept_is_named() {
    let mut program = Setting::with_handler().variable("CRASHER_ATTACHMENT", "/nonexistent/app.log").start();
    program.handler();
    program.crash("null");
    let (dump, metadata) = program.dump_alone();
    assert_eq!(dump.stream(ATTACHMENT), None);
    let told = metadata["soft_errors"][0]["message"].as_str().unwrap();
    assert!(told.starts_with("the attachment /nonexistent/app.log cannot be read: "), "{told}");
}

/// A handler that listens, with what it says on standard error.
struct Service {
    guarded: Guarded,
    folder: tempfile::TempDir,
}

impl Service {
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut service = Self { guarded: Self::spawn(folder.path(), options), folder };
        service.await_socket();
        service
    }

    fn spawn(folder: &Path, options: &[&str]) -> Guarded {
        let mut command = Command::new(programs::dumper());
        command.arg("handler").arg("--socket").arg(folder.join("socket"));
        command.arg("-d").arg(folder.join("kept")).args(options).stderr(Stdio::null());
        Guarded::start(&mut command)
    }

    fn await_socket(&mut self) {
        let socket = self.socket();
        wait_until("the handler listens", || {
            std::os::unix::net::UnixStream::connect(&socket)
                .is_err_and(|error| error.raw_os_error() == Some(libc::EPROTOTYPE))
        });
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }

    fn dumps(&self) -> Vec<(std::path::PathBuf, serde_json::Value)> {
        dumps_in(&self.folder.path().join("kept"))
    }
}

#[test]
fn a_handler_that_listens_serves_several_programs() {
    let service = Service::start(&[]);
    let start = || Setting::new().variable("CRASHER_SOCKET", service.socket()).start();
    let mut programs = [start(), start(), start()];
    for program in &mut programs {
        assert_eq!(program.handler(), service.guarded.pid());
        assert_eq!(program.crash("null").0, Some(SIGSEGV));
        assert_eq!(program.dumps().len(), 0, "the dump is in the handler's directory");
    }
    assert_eq!(service.dumps().len(), 3);
}

#[test]
fn a_program_finds_the_handler_that_follows() {
    let mut service = Service::start(&[]);
    let mut program = Setting::new().variable("CRASHER_SOCKET", service.socket()).start();
    let first = program.handler();
    signal(first, SIGKILL);
    wait_until("the first handler is gone", || !is_alive(first));
    service.guarded = Service::spawn(service.folder.path(), &[]);
    let second = program.handler_but(first);
    assert_eq!(second, service.guarded.pid());
    program.crash("null");
    assert_eq!(service.dumps().len(), 1);
}

#[test]
fn a_program_finds_the_handler_that_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let start = || Setting::new().variable("CRASHER_SOCKET", &socket).start();
    let mut program = start();
    assert_eq!(program.crash("null").0, Some(SIGSEGV));
    assert_eq!(program.dump_alone().1["source"], "client");
    let mut program = start();
    let service = Service { guarded: Service::spawn(folder.path(), &[]), folder };
    assert_eq!(program.handler(), service.guarded.pid());
    program.crash("null");
    assert_eq!(service.dumps().len(), 1);
}

#[test]
fn a_handler_of_root_serves_the_programs_of_others() {
    let test = "a_handler_of_root_serves_the_programs_of_others";
    if !needs::root(test) {
        return;
    }
    let service = Service::start(&["--all-users"]);
    let secret = service.folder.path().join("secret");
    fs::write(&secret, b"not for everybody").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(service.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // A copy that nobody may read and run, and a directory that is nobody's.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("crasher");
    fs::copy(programs::crasher(), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["crash", "null", "main"]).uid(NOBODY).gid(NOBODY).current_dir("/");
    command.env("CRASHER_SOCKET", service.socket()).env("CRASHER_DUMPS", folder.path().join("dumps"));
    command.env("CRASHER_ATTACHMENT", &secret);
    let finished = process::run(&mut command);
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&finished.status),
        Some(SIGSEGV),
        "{}",
        finished.stderr
    );
    let dumps = service.dumps();
    let [(path, metadata)] = dumps.as_slice() else { panic!("{dumps:?}") };
    let dump = Dump::of(fs::read(path).unwrap());
    assert_eq!(crash_of(&dump).0, SIGSEGV.unsigned_abs());
    assert_eq!(dump.stream(ATTACHMENT), None, "the program could not have read it either");
    let told = metadata["soft_errors"][0]["message"].as_str().unwrap();
    assert!(told.contains("Permission denied"), "{told}");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_handler_of_another_user_cannot_dump_and_so_the_program_does() {
    if !needs::root("a_handler_of_another_user_cannot_dump_and_so_the_program_does") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let handler = folder.path().join("minidump-writer");
    fs::copy(programs::dumper(), &handler).unwrap();
    let socket = folder.path().join("socket");
    let mut command = Command::new(&handler);
    command
        .arg("handler")
        .arg("--socket")
        .arg(&socket)
        .arg("--all-users")
        .arg("-d")
        .arg(folder.path().join("kept"));
    let _handler = Guarded::start(command.uid(NOBODY).gid(NOBODY).current_dir("/").stderr(Stdio::null()));
    wait_until("the handler listens", || {
        std::os::unix::net::UnixStream::connect(&socket)
            .is_err_and(|error| error.raw_os_error() == Some(libc::EPROTOTYPE))
    });
    let mut program = Setting::new().variable("CRASHER_SOCKET", &socket).start();
    program.handler();
    assert_eq!(program.crash("null").0, Some(SIGSEGV));
    assert_eq!(program.dump_alone().1["source"], "client");
    assert_eq!(dumps_in(&folder.path().join("kept")).len(), 0);
}

#[test]
fn a_program_that_changes_the_user_when_it_starts_writes_its_dump_itself() {
    if !needs::root("a_program_that_changes_the_user_when_it_starts_writes_its_dump_itself") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("set-uid");
    fs::copy(programs::crasher(), &program).unwrap();
    std::os::unix::fs::chown(&program, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
    let handler = folder.path().join("minidump-writer");
    fs::copy(programs::dumper(), &handler).unwrap();
    let mut command = Command::new(&program);
    command.args(["crash", "null", "thread"]).env("CRASHER_DUMPS", folder.path().join("dumps"));
    let finished = process::run(command.env("CRASHER_HANDLER", &handler));
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&finished.status),
        Some(SIGSEGV),
        "{}",
        finished.stderr
    );
    let dumps = dumps_in(&folder.path().join("dumps"));
    let [(path, metadata)] = dumps.as_slice() else { panic!("{dumps:?}") };
    assert_eq!(metadata["source"], "client");
    let facts: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    let tid = u32::try_from(facts["tid"].as_u64().unwrap()).unwrap();
    let dump = Dump::of(fs::read(path).unwrap());
    assert_eq!(crash_of(&dump), (SIGSEGV.unsigned_abs(), 0, tid));
    let context = dump.context(tid).unwrap();
    assert!(dump.memory(context.rsp, 16).is_some(), "the stack of the thread that crashed");
}

#[test]
fn a_program_that_is_not_dumpable_makes_itself_so_for_its_handler() {
    if !needs::root("a_program_that_is_not_dumpable_makes_itself_so_for_its_handler") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let [program, handler] = ["crasher", "minidump-writer"].map(|name| folder.path().join(name));
    fs::copy(programs::crasher(), &program).unwrap();
    fs::copy(programs::dumper(), &handler).unwrap();
    let dumps = folder.path().join("dumps");
    let mut command = Command::new(&program);
    // Neither of them is root, for whom it would make no difference.
    command.args(["crash", "non-dumpable", "thread"]).uid(NOBODY).gid(NOBODY).current_dir("/");
    let finished = process::run(command.env("CRASHER_DUMPS", &dumps).env("CRASHER_HANDLER", &handler));
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&finished.status),
        Some(SIGSEGV),
        "{}",
        finished.stderr
    );
    let dumps = dumps_in(&dumps);
    let [(path, metadata)] = dumps.as_slice() else { panic!("{dumps:?}") };
    assert_eq!(metadata["source"], "handler");
    assert_eq!(crash_of(&Dump::of(fs::read(path).unwrap())).0, SIGSEGV.unsigned_abs());
}

#[test]
fn a_program_that_crashes_too_often_is_counted() {
    let service = Service::start(&["--per-program", "3"]);
    for _ in 0..5 {
        let mut program = Setting::new().variable("CRASHER_SOCKET", service.socket()).start();
        program.handler();
        assert_eq!(program.crash("null").0, Some(SIGSEGV));
        assert_eq!(program.dumps().len(), 0, "a handler that declines is not replaced by the program");
    }
    assert_eq!(service.dumps().len(), 3);
}

#[test]
fn a_full_disk_keeps_the_essentials() {
    let test = "a_full_disk_keeps_the_essentials";
    if !needs::root(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // In a mount namespace of its own, so that nothing has to be unmounted. A kilobyte is left when the crash comes.
    let script = r#"mount -t tmpfs -o size=128k none "$1" || exit 99
        export CRASHER_DUMPS="$1/dumps"
        (sleep 0; echo crash null) | "$0" protected full "$1/filler" > /dev/null
        cp "$1"/dumps/pending/* "$2" && ls "$2""#;
    let (small, kept) = (folder.path().join("small"), folder.path().join("kept"));
    fs::create_dir(&small).unwrap();
    fs::create_dir(&kept).unwrap();
    for handler in [None, Some(programs::dumper())] {
        let mut command = Command::new("unshare");
        command.args(["-m", "bash", "-c", script]).arg(programs::crasher()).arg(&small).arg(&kept);
        handler.map(|handler| command.env("CRASHER_HANDLER", handler));
        let finished = process::run(&mut command);
        assert!(finished.status.success(), "{handler:?}: {}", finished.stderr);
        let dumps: Vec<_> = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path()).collect();
        let dump =
            dumps.iter().find(|path| path.extension().is_some_and(|extension| extension == "dmp")).unwrap();
        let dump = Dump::of(fs::read(dump).unwrap());
        assert_eq!(crash_of(&dump).0, SIGSEGV.unsigned_abs(), "{handler:?}");
        assert!(!dump.thread_ids().is_empty(), "{handler:?}: the crashing thread");
        for path in &dumps {
            fs::remove_file(path).unwrap();
        }
    }
}
