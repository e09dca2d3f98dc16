//! `core-handler --listen`: crashes that the kernel brings to a socket (Linux 6.16).
//!
//! As those of `core_handler`, these tests set `kernel.core_pattern` of the machine, one at a time.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::core_pattern::{Installed, LIMIT, Machine, PATTERN, SUID_DUMPABLE, crash_of};
use end_to_end::crash_matrix::{Crash, Way, check};
use end_to_end::process::{self, Guarded};
use end_to_end::{Target, elf, programs};
use libc::{SIGABRT, SIGSEGV, SIGSYS};
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

const NULL: [&str; 2] = ["crash", "null"];

/// `crasher crash null`, with nothing to say.
fn crasher() -> Command {
    let mut command = Command::new(programs::crasher());
    command.args(NULL).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Lets a program crash, and checks its dump.
#[track_caller]
fn assert_one_crash_is_dumped(installed: &Installed) {
    let mut process = Guarded::start(&mut crasher());
    assert_eq!(process.wait("a crasher").signal(), Some(SIGSEGV));
    let (dump, _) = installed.dump_of(process.pid());
    assert_eq!(crash_of(&dump), (SIGSEGV.unsigned_abs(), 0, process.pid().unsigned_abs()));
}

#[test]
fn kinds_of_crashes_through_the_socket() {
    let rows = [
        Crash::of("wild-write", SIGSEGV),
        Crash::of("abort", SIGABRT),
        Crash::of("in-handler", SIGSEGV),
        Crash::of("no-descriptors", SIGSEGV),
        Crash::of("main-gone", SIGSEGV).on_main(),
        Crash::of("sigsys-kill", SIGSYS),
        Crash::of("non-dumpable", SIGSEGV).lost_by(&[Way::CoreSocket]),
        Crash::of("chroot", SIGSEGV),
    ];
    check(&[Way::CoreSocket], rows);
}

#[test]
fn a_fault_in_a_thread_is_known_by_both_forms_of_the_socket() {
    let test = "a_fault_in_a_thread_is_known_by_both_forms_of_the_socket";
    let Some(installed) = Installed::served(test, &[]) else { return };
    let pattern = fs::read_to_string(PATTERN).unwrap();
    assert_eq!(pattern, format!("@@{}\n", installed.socket().display()));
    // The plain form asks nothing, and waits if the limit says so.
    for (pattern, limit) in [(pattern.as_str(), "0"), (&pattern[1..], "16")] {
        fs::write(PATTERN, pattern).unwrap();
        fs::write(LIMIT, limit).unwrap();
        let mut target = Target::start(["crash", "wild-write", "thread"]);
        let (tid, address) = (target.tid("tid"), target.number("address"));
        assert_eq!(target.wait().signal(), Some(SIGSEGV));
        let (dump, metadata) = installed.dump_of(target.pid());
        assert_eq!(crash_of(&dump), (SIGSEGV.unsigned_abs(), address, tid), "{pattern}");
        assert_eq!(dump.threads_with_registers().len(), 4, "main, two parked and the crashed thread");
        assert_eq!(dump.modules()[0].id, elf::build_id(programs::crasher()));
        assert_eq!((&metadata["signal"], &metadata["tid"]), (&SIGSEGV.into(), &tid.into()));
        assert_eq!(metadata["executable"], programs::crasher().to_str().unwrap());
        assert_eq!(metadata["reason"], "SIGSEGV");
        assert_eq!(dump.soft_errors(), Vec::<Value>::new(), "{pattern}");
    }
}

#[test]
fn of_256_that_crash_at_once_each_has_its_dump() {
    let Some(installed) = Installed::served("of_256_that_crash_at_once_each_has_its_dump", &[]) else {
        return;
    };
    let mut crashing: Vec<Guarded> = (0..256).map(|_| Guarded::start(&mut crasher())).collect();
    for process in &mut crashing {
        assert_eq!(process.wait("a crasher").signal(), Some(SIGSEGV));
    }
    let all = installed.all();
    for process in &crashing {
        let (path, _) = all.iter().find(|(_, metadata)| metadata["pid"] == process.pid()).unwrap();
        let dump = end_to_end::Dump::of(fs::read(path).unwrap());
        assert_eq!(crash_of(&dump), (SIGSEGV.unsigned_abs(), 0, process.pid().unsigned_abs()));
    }
}

#[test]
fn who_has_not_crashed_is_turned_away_and_keeps_nobody_waiting() {
    let test = "who_has_not_crashed_is_turned_away_and_keeps_nobody_waiting";
    let Some(installed) = Installed::served(test, &[]) else { return };
    let said: [&[u8]; 3] = [b"", b"\x7fELF\x02\x01", &[16, 0, 0, 0, 16, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0]];
    let strangers: Vec<UnixStream> = (0..60)
        .map(|index| {
            let mut stranger = UnixStream::connect(installed.socket()).unwrap();
            // It may have been closed by now.
            let _ = stranger.write_all(said[index % said.len()]);
            stranger
        })
        .collect();
    assert_one_crash_is_dumped(&installed);
    for mut stranger in strangers {
        let mut answer = Vec::new();
        // With words of it unread, the end of the connection is told as a reset.
        let _ = stranger.read_to_end(&mut answer);
        assert_eq!(answer, b"", "nothing is said to strangers");
    }
    let own = std::process::id();
    assert!(installed.all().iter().all(|(_, metadata)| metadata["pid"] != own));
}

/// Connects, says something, and crashes with the connection open.
const LIAR: &str = r#"use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[0])) or die;
    syswrite(S, pack("H*", $ARGV[1])); kill "SEGV", $$; sleep 60"#;

/// Whether a core of the process is being taken.
fn is_dumping(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line == "CoreDumping:\t1")
}

#[test]
fn who_crashes_with_a_connection_of_its_own_is_dumped_by_what_the_kernel_says() {
    let test = "who_crashes_with_a_connection_of_its_own_is_dumped_by_what_the_kernel_says";
    let Some(mut installed) = Installed::served(test, &[]) else { return };
    let server = installed.server().pid();
    // SAFETY: kill takes two numbers; the server is a child that nobody has reaped.
    let signal = |signal| assert_eq!(unsafe { libc::kill(server, signal) }, 0);
    for said in ["", "00", "7f454c46020101000000", "10000000100000000f00000000000000"] {
        // Until both connections are there, so that neither is seen before the crash.
        signal(libc::SIGSTOP);
        let mut liar = Command::new("perl");
        liar.args(["-e", LIAR]).arg(installed.socket()).arg(said).stdin(Stdio::null());
        let mut liar = Guarded::start(&mut liar);
        process::wait_until("the crash", || is_dumping(liar.pid()));
        signal(libc::SIGCONT);
        assert_eq!(liar.wait("perl").signal(), Some(SIGSEGV));
        process::wait_until("the workers", || children(server).is_empty());
        let of_liar = installed.all().into_iter().filter(|(_, metadata)| metadata["pid"] == liar.pid());
        assert_eq!(of_liar.count(), 1, "{said}");
        assert_eq!(crash_of(&installed.dump_of(liar.pid()).0).0, SIGSEGV.unsigned_abs());
    }
    assert_one_crash_is_dumped(&installed);
}

#[test]
fn a_core_limit_of_one_byte_loses_no_crash() {
    let test = "a_core_limit_of_one_byte_loses_no_crash";
    let Some(installed) = Installed::served(test, &[]) else { return };
    for limit in ["0", "1"] {
        let mut command = Command::new("prlimit");
        command.arg(format!("--core={limit}")).arg(programs::crasher()).args(NULL);
        let mut process = Guarded::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
        assert_eq!(process.wait("a crasher").signal(), Some(SIGSEGV));
        assert_eq!(crash_of(&installed.dump_of(process.pid()).0).0, SIGSEGV.unsigned_abs(), "{limit}");
    }
}

#[test]
fn a_program_that_changed_its_user_is_dumped_for_root_alone() {
    let test = "a_program_that_changed_its_user_is_dumped_for_root_alone";
    let Some(installed) = Installed::served(test, &[]) else { return };
    let mut target = Target::start(["crash", "setuid"]);
    assert_eq!(target.wait().signal(), Some(SIGSEGV));
    let (dump, _) = installed.dump_of(target.pid());
    assert_eq!(crash_of(&dump), (SIGSEGV.unsigned_abs(), 0, target.tid("tid")));
    for (path, _) in installed.all() {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_core_goes_on_byte_for_byte() {
    let Some(installed) = Installed::served("a_core_goes_on_byte_for_byte", &[]) else { return };
    let (socket, place) = (installed.socket(), installed.folder.path());
    let pattern = format!("{}/core.%s.%u.%p", place.display());
    let arguments = ["--install", "--socket", socket.to_str().unwrap(), "--pass-to", &pattern];
    installed.run(&arguments).expect_success("--install again");
    let mut target = Target::start(["crash", "wild-write", "thread"]);
    assert_eq!(target.wait().signal(), Some(SIGSEGV));
    let (dump, _) = installed.dump_of(target.pid());
    let core = place.join(format!("core.{SIGSEGV}.0.{}", target.pid()));
    let from_core = end_to_end::converted::converted(&core, [""; 0]);
    assert_eq!(crash_of(&from_core), crash_of(&dump));
    let stack = dump.context(target.tid("tid")).unwrap().rsp;
    assert_eq!(from_core.memory(stack, 256).unwrap(), dump.memory(stack, 256).unwrap());
}

#[test]
fn what_was_set_before_comes_back_and_nothing_is_set_that_nobody_serves() {
    let test = "what_was_set_before_comes_back_and_nothing_is_set_that_nobody_serves";
    let Some(mut installed) = Installed::served(test, &[]) else { return };
    let socket = installed.socket();
    let now = || [PATTERN, LIMIT, SUID_DUMPABLE].map(|path| fs::read_to_string(path).unwrap());
    let Machine { pattern, limit, suid_dumpable, .. } = &installed.machine;
    let before = [pattern.clone(), limit.clone(), suid_dumpable.clone()];
    assert_eq!(now()[1], before[1], "the limit does not matter to this form");
    let status = || -> Value {
        let told = installed.run(&["--status", "--json"]).expect_success("--status");
        serde_json::from_slice(&told.stdout).unwrap()
    };
    let found = status();
    assert_eq!((&found["ours"], &found["socket"]), (&true.into(), &socket.to_str().unwrap().into()));
    assert_eq!(found["previous_core_pattern"], pattern.trim_end_matches('\n'));
    assert_eq!(found["warnings"], Value::Array(vec![]));
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only root may connect");
    installed.run(&["--uninstall"]).expect_success("--uninstall");
    assert_eq!(now(), before);
    installed.server().child().kill().unwrap();
    installed.server().wait("the server");
    let refused = installed.run(&["--install", "--socket", socket.to_str().unwrap()]);
    assert!(!refused.status.success() && refused.stderr.contains("nobody listens"), "{}", refused.stderr);
    assert_eq!(now(), before);
}

#[test]
fn a_socket_of_the_service_manager_is_served() {
    let test = "a_socket_of_the_service_manager_is_served";
    let Some(mut installed) = Installed::copied_for_socket(test) else { return };
    let socket = installed.socket();
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let mut manager = Command::new("sh");
    let script =
        r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" core-handler --listen "$1" -d "$2""#;
    manager.args(["-c", script]).arg(installed.program()).arg(&socket).arg(installed.directory());
    let server = Guarded::start(manager.stdin(OwnedFd::from(listener)).stderr(Stdio::null()));
    installed.serve_by(server);
    installed.run(&["--install", "--socket", socket.to_str().unwrap()]).expect_success("--install");
    assert_one_crash_is_dumped(&installed);
}

#[test]
fn two_do_not_serve_one_socket() {
    let Some(installed) = Installed::served("two_do_not_serve_one_socket", &[]) else { return };
    let (socket, directory) = (installed.socket(), installed.directory());
    let second = installed.run(&["--listen", socket.to_str().unwrap(), "-d", directory.to_str().unwrap()]);
    assert!(!second.status.success() && second.stderr.contains("serves"), "{}", second.stderr);
    assert_one_crash_is_dumped(&installed);
}

/// Nothing is kept for crashes that may come.
#[test]
fn idle_it_has_no_threads_and_no_children_and_little_memory() {
    let test = "idle_it_has_no_threads_and_no_children_and_little_memory";
    let Some(mut installed) = Installed::served(test, &[]) else { return };
    assert_one_crash_is_dumped(&installed);
    let pid = installed.server().pid();
    let status = |name: &str| -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    process::wait_until("the end of the worker", || children(pid).is_empty());
    assert_eq!(status("Threads:"), 1);
    // After its last worker it gives memory back, and then waits; nobody tells when.
    process::wait_until("less than 2 MiB", || status("VmRSS:") < 2048);
}

fn children(pid: i32) -> String {
    let path = format!("/proc/{pid}/task/{pid}/children");
    fs::read_to_string(Path::new(&path)).unwrap()
}
