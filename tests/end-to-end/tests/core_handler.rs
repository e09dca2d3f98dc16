//! `core-handler`: crashes that the kernel hands over.
//!
//! These tests set `kernel.core_pattern` of the machine, one at a time, and set back what was there. Crashes of other
//! programs that happen meanwhile are dumped too; each test looks for those of its own processes.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail the test")]

use end_to_end::core_pattern::{self, Installed, LIMIT, Machine, PATTERN, SUID_DUMPABLE, crash_of};
use end_to_end::process::{self, Guarded, wait_until};
use end_to_end::{Dump, Target, elf, programs};
use serde_json::Value;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// `MD_LINUX_ENVIRON`
const ENVIRON: u32 = 0x4767_0007;

/// The main module of a dump.
#[track_caller]
fn main_module(dump: &Dump) -> end_to_end::contents::DumpedModule {
    dump.modules().into_iter().next().unwrap()
}

#[track_caller]
fn kill(target: &mut Target, signal: i32) {
    // SAFETY: the child has not been reaped, so the id is its own.
    assert_eq!(unsafe { libc::kill(target.pid(), signal) }, 0);
    assert_eq!(target.wait().signal(), Some(signal));
}

#[test]
fn a_fault_in_a_thread_is_dumped_with_its_address_and_all_threads() {
    let test = "a_fault_in_a_thread_is_dumped_with_its_address_and_all_threads";
    let Some(installed) = Installed::new(test, &[]) else { return };
    let mut command = Command::new(programs::crasher());
    command
        .args(["crash", "wild-write", "thread"])
        .env("DB_PASSWORD", "kernel-sesame")
        .env("COLOUR", "green");
    let mut target = Target::start_command(&mut command);
    let (tid, address) = (target.tid("tid"), target.number("address"));
    assert_eq!(target.wait().signal(), Some(libc::SIGSEGV));
    let (dump, metadata) = installed.dump_of(target.pid());
    assert_eq!(crash_of(&dump), (libc::SIGSEGV.unsigned_abs(), address, tid));
    assert_eq!(dump.thread_ids()[0], tid, "the crashed thread comes first");
    assert_eq!(dump.threads_with_registers().len(), 4, "main, two parked and the crashed thread");
    assert_eq!(dump.thread_name(tid).as_deref(), Some("crashing"));
    let registers = dump.context(tid).unwrap();
    let (stack, size) = dump.stack_range(tid);
    assert!((stack..stack + size).contains(&registers.rsp));
    assert!(dump.memory(registers.rip, 16).is_some(), "there is code at the instruction pointer");
    let module = dump.module_at(registers.rip).expect("it crashed in a module");
    assert_eq!(Path::new(&module.path), programs::crasher());
    assert_eq!(module.id, elf::build_id(programs::crasher()));
    let environ = String::from_utf8(dump.stream(ENVIRON).unwrap()).unwrap();
    assert!(environ.contains("COLOUR=green\0") && environ.contains("DB_PASSWORD=*****"), "{environ:?}");
    let secret = b"kernel-sesame";
    assert!(!dump.bytes.windows(secret.len()).any(|window| window == secret));
    assert_eq!((&metadata["signal"], &metadata["tid"]), (&libc::SIGSEGV.into(), &tid.into()));
    assert_eq!(metadata["executable"], programs::crasher().to_str().unwrap());
    assert_eq!(dump.soft_errors(), Vec::<Value>::new());
}

#[test]
fn every_thread_of_a_killed_process_has_its_stack() {
    let Some(installed) = Installed::new("every_thread_of_a_killed_process_has_its_stack", &[]) else {
        return;
    };
    let mut target = Target::start(["threads", "16"]);
    kill(&mut target, libc::SIGABRT);
    let (dump, _) = installed.dump_of(target.pid());
    assert_eq!(crash_of(&dump).0, libc::SIGABRT.unsigned_abs());
    assert_eq!(dump.thread_ids().len(), 17);
    dump.assert_parked(&target.parked());
}

#[test]
fn an_executable_that_was_deleted_is_known_by_its_build_id() {
    let test = "an_executable_that_was_deleted_is_known_by_its_build_id";
    let Some(installed) = Installed::new(test, &[]) else { return };
    let program = installed.folder.path().join("gone");
    process::run(Command::new("cp").arg(programs::crasher()).arg(&program)).expect_success("cp");
    let mut target = Target::start_program(&program, ["threads", "2"]);
    fs::remove_file(&program).unwrap();
    kill(&mut target, libc::SIGABRT);
    let (dump, metadata) = installed.dump_of(target.pid());
    let module = main_module(&dump);
    assert!(module.path.starts_with(program.to_str().unwrap()), "{}", module.path);
    assert_eq!(module.id, elf::build_id(programs::crasher()));
    assert_eq!(metadata["executable"], program.to_str().unwrap());
    dump.assert_parked(&target.parked());
}

/// A file system and process ids of its own, as a container has.
const CONTAINER: &str =
    r#"mount -t tmpfs none "$1" && cp "$0" "$1/inner" && "$1/inner" crash null thread; exit $?"#;

#[test]
fn a_process_in_namespaces_of_its_own_is_dumped_as_seen_from_outside() {
    let test = "a_process_in_namespaces_of_its_own_is_dumped_as_seen_from_outside";
    let Some(installed) = Installed::new(test, &[]) else { return };
    let root = installed.folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", CONTAINER]);
    let mut target = Target::start_command(command.arg(programs::crasher()).arg(&root));
    let inner = target.tid("tid");
    assert_eq!(target.wait().code(), Some(128 + libc::SIGSEGV));
    let inside = root.join("inner");
    let (dump, metadata) = only_dump_of_program(&installed, &inside);
    let (code, address, tid) = crash_of(&dump);
    assert_eq!((code, address), (libc::SIGSEGV.unsigned_abs(), 0));
    assert_eq!(metadata["tid"], tid, "the ids in the dump are those of the outermost namespace");
    assert_ne!(tid, inner);
    assert_eq!(dump.thread_name(tid).as_deref(), Some("crashing"));
    let registers = dump.context(tid).unwrap();
    let module = dump.module_at(registers.rip).unwrap();
    assert!(!inside.exists(), "its file is not to be had here");
    assert_eq!((Path::new(&module.path), module.id), (inside.as_path(), elf::build_id(programs::crasher())));
    assert!(dump.memory(registers.rip, 16).is_some(), "there is code at the instruction pointer");
}

#[track_caller]
fn only_dump_of_program(installed: &Installed, program: &Path) -> (Dump, Value) {
    let all = installed.all().into_iter().map(|(_, metadata)| metadata);
    let found: Vec<Value> =
        all.filter(|value: &Value| value["executable"] == program.to_str().unwrap()).collect();
    assert_eq!(found.len(), 1, "one crash, one dump: {found:?}");
    installed.dump_of(i32::try_from(found[0]["pid"].as_i64().unwrap()).unwrap())
}

#[test]
fn of_eight_that_crash_at_once_each_has_its_dump() {
    let Some(installed) = Installed::new("of_eight_that_crash_at_once_each_has_its_dump", &[]) else {
        return;
    };
    let mut command = Command::new(programs::crasher());
    command.args(["crash", "null"]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut crashing: Vec<Guarded> = (0..8).map(|_| Guarded::start(&mut command)).collect();
    for process in &mut crashing {
        assert_eq!(process.wait("a crasher").signal(), Some(libc::SIGSEGV));
    }
    for process in &crashing {
        let (dump, _) = installed.dump_of(process.pid());
        assert_eq!(crash_of(&dump), (libc::SIGSEGV.unsigned_abs(), 0, process.pid().unsigned_abs()));
    }
}

#[test]
fn without_a_limit_the_core_alone_is_enough() {
    let Some(installed) = Installed::new("without_a_limit_the_core_alone_is_enough", &[]) else { return };
    fs::write(LIMIT, "0").unwrap();
    let mut target = Target::start(["threads", "4"]);
    kill(&mut target, libc::SIGABRT);
    // The kernel does not wait for the handler now, so the end of the process is no event for the dump.
    wait_until("the dump", || installed.find(target.pid()).is_some());
    let (dump, _) = installed.dump_of(target.pid());
    assert_eq!(crash_of(&dump).0, libc::SIGABRT.unsigned_abs());
    for thread in target.parked() {
        let registers = dump.context(thread.tid).unwrap();
        assert!(dump.memory(registers.rsp, 16).is_some());
        for (function, address, bytes) in thread.frames {
            assert_eq!(dump.memory(address, bytes.len()), Some(bytes), "{function}");
        }
    }
}

#[test]
fn a_core_limit_of_zero_loses_no_crash_and_one_of_a_byte_is_the_kernels_own_mark() {
    let test = "a_core_limit_of_zero_loses_no_crash_and_one_of_a_byte_is_the_kernels_own_mark";
    let Some(installed) = Installed::new(test, &[]) else { return };
    for (limit, is_dumped) in [(0, true), (1, false)] {
        let mut command = Command::new("prlimit");
        command.arg(format!("--core={limit}")).arg(programs::crasher()).args(["crash", "null"]);
        let mut process = Guarded::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
        assert_eq!(process.wait("a crasher").signal(), Some(libc::SIGSEGV));
        assert_eq!(installed.find(process.pid()).is_some(), is_dumped, "a limit of {limit} bytes");
    }
}

#[test]
fn a_signal_that_makes_no_core_leaves_no_dump() {
    let Some(installed) = Installed::new("a_signal_that_makes_no_core_leaves_no_dump", &[]) else { return };
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGALRM] {
        let mut target = Target::start(["threads", "2"]);
        kill(&mut target, signal);
        assert!(installed.find(target.pid()).is_none(), "signal {signal}");
    }
}

#[test]
fn a_core_goes_on_byte_for_byte_and_a_failing_successor_costs_no_dump() {
    let test = "a_core_goes_on_byte_for_byte_and_a_failing_successor_costs_no_dump";
    let Some(installed) = Installed::new(test, &[]) else { return };
    let directory = installed.directory();
    let install = |pass_to: &str| {
        let arguments = ["--install", directory.to_str().unwrap(), "--pass-to", pass_to];
        installed.run(&arguments).expect_success("--install again");
    };
    let core = |pid: i32| installed.folder.path().join(format!("core.{pid}"));
    let place = installed.folder.path().display();
    for pattern in [format!("{place}/core.%p"), format!("|/bin/cp /dev/stdin {place}/core.%P")] {
        install(&pattern);
        let mut target = Target::start(["threads", "2"]);
        kill(&mut target, libc::SIGABRT);
        let (dump, _) = installed.dump_of(target.pid());
        dump.assert_parked(&target.parked());
        let from_core = end_to_end::converted::converted(&core(target.pid()), [""; 0]);
        assert_eq!(crash_of(&from_core), crash_of(&dump), "{pattern}");
        for thread in target.parked() {
            assert_eq!(from_core.context(thread.tid).unwrap().rsp, dump.context(thread.tid).unwrap().rsp);
        }
    }
    install("|/bin/false");
    let mut target = Target::start(["threads", "2"]);
    kill(&mut target, libc::SIGABRT);
    installed.dump_of(target.pid()).0.assert_parked(&target.parked());
}

#[test]
fn what_was_set_before_comes_back_and_what_others_set_stays() {
    let test = "what_was_set_before_comes_back_and_what_others_set_stays";
    let Some(installed) = Installed::new(test, &[]) else { return };
    let Machine { pattern, limit, suid_dumpable, .. } = &installed.machine;
    let now = || [PATTERN, LIMIT, SUID_DUMPABLE].map(|path| fs::read_to_string(path).unwrap());
    let directory = installed.directory();
    installed.run(&["--install", directory.to_str().unwrap()]).expect_success("--install twice");
    let status: Value =
        serde_json::from_slice(&installed.run(&["--status", "--json"]).expect_success("--status").stdout)
            .unwrap();
    assert_eq!((&status["ours"], &status["directory"]), (&true.into(), &directory.to_str().unwrap().into()));
    assert_eq!(status["previous_core_pattern"], pattern.trim_end_matches('\n'));
    installed.run(&["--uninstall"]).expect_success("--uninstall");
    assert_eq!(now(), [pattern.clone(), limit.clone(), suid_dumpable.clone()]);
    fs::write(PATTERN, "/tmp/of-others.%p").unwrap();
    let refused = installed.run(&["--uninstall"]);
    assert!(!refused.status.success() && refused.stderr.contains("/tmp/of-others.%p"), "{}", refused.stderr);
    assert_eq!(now()[0], "/tmp/of-others.%p\n");
}

#[test]
fn a_program_that_changed_its_user_is_dumped_for_root_alone() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let test = "a_program_that_changed_its_user_is_dumped_for_root_alone";
    let Some(installed) = Installed::new(test, &[]) else { return };
    let mut target = Target::start(["crash", "setuid"]);
    assert_eq!(target.wait().signal(), Some(libc::SIGSEGV));
    let (dump, _) = installed.dump_of(target.pid());
    assert_eq!(crash_of(&dump).2, target.tid("tid"));
    assert_eq!(main_module(&dump).id, elf::build_id(programs::crasher()));
    for (path, _) in installed.all() {
        let found = fs::metadata(path).unwrap();
        assert_eq!((found.uid(), found.permissions().mode() & 0o777), (0, 0o600));
    }
}

/// A process id above the largest that Linux gives.
const NOBODY: &str = "2147483000";

fn by_hand(directory: &Path) -> Command {
    let mut command = Command::new(programs::dumper());
    command.args(["core-handler", "--deadline", "500ms"]).arg(directory).arg("--");
    command.args([NOBODY, NOBODY, "3", "1700000000", "1", "0", "0", "0", "!opt!program"]);
    command
}

#[test]
fn a_core_whose_process_is_gone_is_dumped() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::start(["threads", "2"]);
    let core = end_to_end::dump_with(target.pid(), ["--format", "core"]);
    let input = fs::File::open(&core.path).unwrap();
    process::run_with_input(&mut by_hand(folder.path()), input).expect_success("core-handler");
    let dumps = core_pattern::dumps_in(folder.path());
    let [(path, metadata)] = dumps.as_slice() else { panic!("one dump: {dumps:?}") };
    assert_eq!((&metadata["executable"], &metadata["reason"]), (&"/opt/program".into(), &"SIGQUIT".into()));
    Dump::of(fs::read(path).unwrap()).assert_parked(&target.parked());
}

#[test]
fn a_core_that_does_not_end_is_given_up_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut guarded = Guarded::start(by_hand(folder.path()).stdin(Stdio::piped()).stderr(Stdio::null()));
    let input = guarded.child().stdin.take();
    assert_eq!(guarded.wait("core-handler").code(), Some(1));
    drop(input);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
