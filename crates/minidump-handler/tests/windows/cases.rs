//! The tests.

use super::crasher::{MARK, PREVIOUS, WRONG};
use super::dump::{self, Dump};
use minidump_handler::store::{Limits, Store, Stored};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

const ACCESS_VIOLATION: u32 = 0xc000_0005;
const STACK_OVERFLOW: u32 = 0xc000_00fd;
const FATAL_APP_EXIT: u32 = 0x4000_0015;

const CASES: [(&str, fn()); 14] = [
    ("a_worker_that_writes_wrong_is_dumped_with_its_registers", access),
    ("a_stack_that_is_nearly_used_up_is_enough", deep),
    ("a_stack_that_overflows_is_dumped", overflow),
    ("abort_is_dumped_and_keeps_its_status", abort),
    ("a_ruined_heap_is_no_hindrance", heap),
    ("an_exception_of_the_programs_own_keeps_its_parameters", raise),
    ("without_a_handler_the_program_writes_its_dump_itself", orphan),
    ("a_handler_that_dies_is_started_again", revived),
    ("a_program_that_goes_on_is_dumped", wish),
    ("a_thread_that_gives_no_sign_of_life_is_dumped", hang),
    ("a_client_that_was_stopped_leaves_nothing", stopped),
    ("a_handler_that_runs_already_serves_many_and_outlives_them", service),
    ("a_program_finds_the_handler_that_comes_after_one_that_died", restarted),
    ("programs_that_die_while_they_are_dumped_are_no_hindrance", killed),
];

/// Runs those whose names hold the argument that is no option; all without one.
pub fn run(words: &[&str]) {
    let wanted = words.iter().find(|word| !word.starts_with('-'));
    let mut failed: Vec<&str> = Vec::new();
    for (name, case) in CASES.iter().filter(|(name, _)| wanted.is_none_or(|wanted| name.contains(wanted))) {
        let outcome = std::panic::catch_unwind(case);
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed.extend(outcome.is_err().then_some(*name));
    }
    println!("test result: {} failed", failed.len());
    if !failed.is_empty() {
        std::process::exit(1);
    }
}

/// A directory for dumps, and a program that crashes.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(scene.folder.path().join("dumps.log"), b"the last line of the log").unwrap();
        scene
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("dumps")
    }

    fn crasher(&self, how: &str, handler: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["crasher", how]).arg(self.directory()).arg(handler);
        command
    }

    fn crash(&self, how: &str, handler: &str) -> Crashed {
        let Output { status, stdout, stderr } = self.crasher(how, handler).output().unwrap();
        let said = String::from_utf8_lossy(&stdout).into_owned();
        let status = status.code().unwrap().cast_unsigned();
        Crashed { status, said, complained: String::from_utf8_lossy(&stderr).into_owned() }
    }

    fn store(&self) -> Store {
        Store::open(self.directory(), Limits::default()).unwrap()
    }

    /// The one dump that there is.
    fn stored(&self) -> Stored {
        let [stored] = <[Stored; 1]>::try_from(self.store().pending().unwrap()).unwrap();
        stored
    }
}

#[derive(Debug)]
struct Crashed {
    status: u32,
    said: String,
    complained: String,
}

impl Crashed {
    fn thread(&self) -> u32 {
        let line = self.said.lines().find_map(|line| line.strip_prefix("thread "));
        line.unwrap_or_else(|| panic!("{self:?}")).trim().parse().unwrap()
    }
}

/// What every dump of a crash by the handler has.
fn assert_crash(scene: &Scene, crashed: &Crashed, code: u32) -> Dump {
    let stored = scene.stored();
    assert_eq!(stored.metadata.source, "handler", "{crashed:?}");
    assert_eq!(stored.metadata.tid, Some(crashed.thread()));
    assert_eq!(stored.metadata.annotations["channel"], "beta \"quoted\"");
    assert_eq!(stored.metadata.annotations["version"], "7.2");
    let dump = dump::read(&stored.dump);
    assert_eq!((dump.code, dump.thread), (code, crashed.thread()), "{:#x}", dump.code);
    assert!(dump.threads.contains(&crashed.thread()));
    assert!(dump.has_stack, "{:#x}", dump.rsp);
    assert!(dump.holds("beta \"quoted\"") && dump.holds("the last line of the log"));
    dump
}

/// That the registers are those of `write_wrong`.
fn assert_wrote_wrong(dump: &Dump) {
    assert_eq!(dump.parameters, [1, WRONG]);
    assert_eq!(dump.r12, MARK, "{:#x}", dump.r12);
    let (base, size, name) = &dump.modules[0];
    assert!((*base..*base + *size).contains(&dump.rip), "{:#x} in {name} at {base:#x}", dump.rip);
}

fn access() {
    let scene = Scene::new();
    let crashed = scene.crash("access", "start");
    assert_eq!(crashed.status, ACCESS_VIOLATION, "{crashed:?}");
    assert_wrote_wrong(&assert_crash(&scene, &crashed, ACCESS_VIOLATION));
    assert_eq!(scene.stored().metadata.reason[..26], *"STATUS_ACCESS_VIOLATION at");
    let left = std::fs::read_dir(scene.directory().join("new")).unwrap().count();
    assert!(left <= 2, "what was reserved is for the next sweep, and nothing else is left");
}

fn deep() {
    let scene = Scene::new();
    let crashed = scene.crash("deep", "start");
    assert_eq!(crashed.status, ACCESS_VIOLATION, "{crashed:?}");
    assert_wrote_wrong(&assert_crash(&scene, &crashed, ACCESS_VIOLATION));
}

unsafe extern "system" {
    fn GetModuleHandleA(name: *const u8) -> *mut u8;
    fn GetProcAddress(module: *mut u8, name: *const u8) -> *mut u8;
}

/// Whether this is Wine. Its guard page stays at the stack's end whatever SetThreadStackGuarantee was told, so that it
/// ends a thread that overflows its stack without a word.
fn is_wine() -> bool {
    // SAFETY: names that end with zero; ntdll is always loaded.
    unsafe {
        !GetProcAddress(GetModuleHandleA(c"ntdll.dll".as_ptr().cast()), c"wine_get_version".as_ptr().cast())
            .is_null()
    }
}

fn overflow() {
    if is_wine() {
        println!("left out: Wine does not deliver the overflow of a stack");
        return;
    }
    let scene = Scene::new();
    let crashed = scene.crash("overflow", "start");
    assert_eq!(crashed.status, STACK_OVERFLOW, "{crashed:?}");
    assert_crash(&scene, &crashed, STACK_OVERFLOW);
}

fn abort() {
    let scene = Scene::new();
    let crashed = scene.crash("abort", "start");
    assert_eq!(crashed.status, 3, "{crashed:?}");
    assert_crash(&scene, &crashed, FATAL_APP_EXIT);
}

fn heap() {
    let scene = Scene::new();
    let crashed = scene.crash("heap", "start");
    assert_eq!(crashed.status, PREVIOUS, "the filter of before is called: {crashed:?}");
    assert_wrote_wrong(&assert_crash(&scene, &crashed, ACCESS_VIOLATION));
}

fn raise() {
    let scene = Scene::new();
    let crashed = scene.crash("raise", "start");
    assert_eq!(crashed.status, 0xe123_4567, "{crashed:?}");
    let dump = assert_crash(&scene, &crashed, 0xe123_4567);
    assert_eq!(dump.parameters, [0x11, 0x22]);
}

fn orphan() {
    let scene = Scene::new();
    let crashed = scene.crash("orphan", "none-yet");
    assert_eq!(crashed.status, 101, "it has no handler to kill: {}", crashed.complained);
    let scene = Scene::new();
    let crashed = scene.crash("access", "none");
    assert_eq!(crashed.status, ACCESS_VIOLATION, "{crashed:?}");
    assert_last_resort(&scene, &crashed);
    let scene = Scene::new();
    let crashed = scene.crash("orphan", "start");
    assert_eq!(crashed.status, ACCESS_VIOLATION, "{crashed:?}");
    // Another handler may have been there in time.
    if scene.stored().metadata.source == "client" {
        assert_last_resort(&scene, &crashed);
    }
}

fn assert_last_resort(scene: &Scene, crashed: &Crashed) {
    let stored = scene.stored();
    let Stored { metadata, .. } = &stored;
    assert_eq!((metadata.source.as_str(), metadata.partial), ("client", false));
    assert_eq!((metadata.tid, metadata.reason.as_str()), (Some(crashed.thread()), "STATUS_ACCESS_VIOLATION"));
    assert_eq!(metadata.annotations["channel"], "beta \"quoted\"");
    let dump = dump::read(&stored.dump);
    assert_eq!((dump.code, dump.thread), (ACCESS_VIOLATION, crashed.thread()));
    assert!(dump.holds("channel=beta \"quoted\"\nversion=7.2\n") || dump.holds("version=7.2\nchannel=beta"));
    assert_wrote_wrong(&dump);
    assert!(dump.threads.contains(&crashed.thread()) && dump.has_stack);
}

fn revived() {
    let scene = Scene::new();
    let crashed = scene.crash("revived", "start");
    assert_eq!(crashed.status, ACCESS_VIOLATION, "{crashed:?}");
    assert_wrote_wrong(&assert_crash(&scene, &crashed, ACCESS_VIOLATION));
}

fn wish() {
    let scene = Scene::new();
    let crashed = scene.crash("wish", "start");
    assert_eq!(crashed.status, 0, "{crashed:?}");
    let stored = scene.stored();
    assert_eq!(stored.dump, PathBuf::from(crashed.said.trim()));
    assert_eq!(stored.metadata.reason, "asked for: memory is short");
    assert_eq!(stored.metadata.source, "handler");
}

fn hang() {
    let scene = Scene::new();
    let mut program = scene.crasher("hang", "start");
    let mut program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    while scene.store().pending().unwrap().is_empty() {
        std::thread::yield_now();
    }
    program.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(program.wait().unwrap().code(), Some(0));
    let thread = line.trim().strip_prefix("thread ").unwrap().to_owned();
    let reason = format!("hang: no sign of life of thread {thread} for 50 ms");
    let stored = scene.stored();
    assert_eq!(stored.metadata.reason, reason);
    assert_eq!(stored.metadata.tid.unwrap().to_string(), thread);
}

fn stopped() {
    let scene = Scene::new();
    let crashed = scene.crash("stopped", "start");
    assert_eq!(crashed.status, ACCESS_VIOLATION, "{crashed:?}");
    assert!(scene.store().pending().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(scene.directory().join("new")).unwrap().count(), 0);
}

/// A handler that has a pipe of its own, in another process.
struct Service {
    process: Child,
    pipe: String,
}

impl Service {
    fn start(scene: &Scene, pipe: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.args(["listen", pipe]).arg(scene.directory()).stdout(Stdio::piped());
        let mut process = process.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "listening");
        // Nobody reads the rest; a pipe that is closed would be an error to the handler.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, pipe: pipe.to_owned() }
    }

    fn end(mut self) {
        assert_eq!(self.process.try_wait().unwrap(), None, "it serves on");
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn pipe_of(case: &str) -> String {
    format!("minidump-handler-test-{case}-{}", std::process::id())
}

fn service() {
    let scene = Scene::new();
    let service = Service::start(&scene, &pipe_of("service"));
    let crashers: Vec<_> = (0..4)
        .map(|_| {
            let mut crasher = scene.crasher("access", &service.pipe);
            crasher.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let mut expected = Vec::new();
    for crasher in crashers {
        let Output { status, stdout, .. } = crasher.wait_with_output().unwrap();
        assert_eq!(status.code().unwrap().cast_unsigned(), ACCESS_VIOLATION);
        let said = String::from_utf8_lossy(&stdout).into_owned();
        expected.push(Crashed { status: 0, said, complained: String::new() }.thread());
    }
    let mut seen: Vec<u32> = Vec::new();
    for stored in scene.store().pending().unwrap() {
        let dump = dump::read(&stored.dump);
        assert_eq!((stored.metadata.source.as_str(), dump.code), ("handler", ACCESS_VIOLATION));
        assert_eq!(dump.r12, MARK);
        seen.push(dump.thread);
    }
    expected.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, expected);
    service.end();
}

fn restarted() {
    let scene = Scene::new();
    let pipe = pipe_of("restarted");
    let mut first = Service::start(&scene, &pipe);
    // The program kills the handler, and crashes when it has found another.
    let mut crasher = scene.crasher("revived", &pipe);
    let crasher = crasher.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    first.process.wait().unwrap();
    let second = Service::start(&scene, &pipe);
    let Output { status, stdout, .. } = crasher.wait_with_output().unwrap();
    let status = status.code().unwrap().cast_unsigned();
    assert_eq!(status, ACCESS_VIOLATION);
    let said = String::from_utf8_lossy(&stdout).into_owned();
    let crashed = Crashed { status, said, complained: String::new() };
    assert_wrote_wrong(&assert_crash(&scene, &crashed, ACCESS_VIOLATION));
    second.end();
}

fn killed() {
    let scene = Scene::new();
    let service = Service::start(&scene, &pipe_of("killed"));
    for _ in 0..6 {
        let mut crasher = scene.crasher("access", &service.pipe);
        let mut crasher = crasher.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(crasher.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // It is about to crash, or is being dumped.
        crasher.kill().unwrap();
        crasher.wait().unwrap();
    }
    for stored in scene.store().pending().unwrap() {
        scene.store().remove(&stored.id).unwrap();
    }
    let crashed = scene.crash("raise", &service.pipe);
    assert_eq!(crashed.status, 0xe123_4567, "{crashed:?}");
    let stored = scene.store().pending().unwrap();
    let whose = |stored: &Stored| stored.metadata.reason.starts_with("exception 0xe1234567 at");
    let dump = dump::read(&stored.iter().find(|stored| whose(stored)).unwrap().dump);
    assert_eq!((dump.code, dump.thread), (0xe123_4567, crashed.thread()));
    service.end();
}
