//! The crash matrix: whatever kills a program, and whatever state it is in, there is a whole dump of it, whose crashing
//! thread unwinds into the function that crashed; and the command ends as it would have ended alone.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use end_to_end::crash_matrix::{Crash, End, Place, Stack, Way, check, compiled, dump_files, end_by_code};
use end_to_end::{Target, needs, programs};
use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ};
use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const WAYS: [Way; 3] = [Way::Supervisor, Way::Client, Way::CoreHandler];
/// The user and the group `nobody`.
const NOBODY: u32 = 65534;

#[test]
fn faults_of_the_processor() {
    let rows = [
        Crash::of("null", SIGSEGV),
        Crash::of("wild-write", SIGSEGV),
        Crash::of("read-only", SIGSEGV),
        Crash::of("int3", SIGTRAP),
        Crash::of("ud2", SIGILL).place(Place::Instruction),
        Crash::of("divide", SIGFPE).place(Place::Instruction),
        Crash::of("bus", SIGBUS),
        Crash::of("general-protection", SIGSEGV),
    ];
    check(&WAYS, rows);
}

#[test]
fn jumps_to_what_is_no_code() {
    let rows = [
        Crash::of("wild-jump", SIGSEGV),
        Crash::of("jump-null", SIGSEGV),
        Crash::of("non-executable", SIGSEGV),
    ];
    check(&WAYS, rows);
}

#[test]
fn signals_of_the_program_and_of_the_kernel() {
    let rows = [
        Crash::of("abort", SIGABRT),
        Crash::of("panic", SIGABRT),
        Crash::of("sigquit", SIGQUIT),
        Crash::of("sigxcpu", SIGXCPU),
        Crash::of("cpu-limit", SIGXCPU).on_main(),
        Crash::of("sigxfsz", SIGXFSZ),
        Crash::of("signals-blocked", SIGSEGV).lost_by(&[Way::Client]),
        Crash::of("abort-blocked", SIGABRT),
    ];
    check(&WAYS, rows);
}

#[test]
fn stacks_that_overflow_or_are_lost() {
    let rows = [
        Crash::of("overflow-32", SIGSEGV).stack(Stack::Overflowed),
        Crash::of("overflow-4096", SIGSEGV).stack(Stack::Overflowed),
        Crash::of("overflow-handled", SIGABRT).client_sees(SIGSEGV),
        Crash::of("bad-sp", SIGSEGV).stack(Stack::Lost),
        Crash::of("bad-sp-high", SIGBUS).stack(Stack::Lost),
    ];
    check(&WAYS, rows);
}

#[test]
fn programs_with_signal_handlers() {
    let rows = [
        Crash::of("in-handler", SIGSEGV),
        Crash::of("in-own-handler", SIGSEGV).lost_by(&[Way::Client]),
        Crash::of("handler-gives-up", SIGSEGV).lost_by(&[Way::Client]),
        Crash::of("handler-reset", SIGSEGV).lost_by(&[Way::Client]),
        Crash::of("mends-then-dies", SIGSEGV).lost_by(&[Way::Client]),
    ];
    check(&WAYS, rows);
}

#[test]
fn programs_that_ran_out_of_something_or_destroyed_it() {
    let rows = [
        Crash::of("heap-destroyed", SIGSEGV),
        Crash::of("no-address-space", SIGSEGV),
        Crash::of("no-descriptors", SIGSEGV),
        Crash::of("loader-next", SIGSEGV),
        Crash::of("loader-self", SIGSEGV),
        Crash::of("loader-map", SIGSEGV),
    ];
    check(&WAYS, rows);
}

#[test]
fn threads_that_ended_or_run_or_crash_together() {
    let rows = [
        Crash::of("main-gone", SIGSEGV).on_main(),
        Crash::of("many-at-once", SIGSEGV),
        Crash::of("busy-others", SIGSEGV),
        Crash::of("crowd", SIGSEGV),
    ];
    check(&WAYS, rows);
}

#[test]
fn programs_that_may_not_do_much() {
    check(
        &WAYS,
        [
            Crash::of("non-dumpable", SIGSEGV).lost_by(&[Way::CoreHandler]),
            Crash::of("calls-forbidden", SIGSEGV),
        ],
    );
}

#[test]
fn system_calls_that_kill() {
    check(
        &WAYS,
        [Crash::of("sigsys-trap", SIGSYS), Crash::of("sigsys-kill", SIGSYS).lost_by(&[Way::Client])],
    );
}

#[test]
fn programs_that_gave_up_the_rights_of_root() {
    if needs::root("programs_that_gave_up_the_rights_of_root") {
        check(&WAYS, [Crash::of("chroot", SIGSEGV), Crash::of("setuid", SIGSEGV)]);
    }
}

/// The kernel makes such a program non-dumpable, and its tracer needs rights over it.
#[test]
fn programs_that_change_the_user_when_they_start() {
    if !needs::root("programs_that_change_the_user_when_they_start") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("set-uid");
    std::fs::copy(programs::crasher(), &program).unwrap();
    std::os::unix::fs::chown(&program, Some(NOBODY), Some(NOBODY)).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o6755)).unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    // Its handler may not trace it; what it writes itself, tests/client.rs looks at.
    let ways = [Way::Supervisor, Way::CoreHandler];
    check(&ways, [Crash::command([program.as_os_str(), "crash".as_ref(), "null".as_ref()], "null", SIGSEGV)]);
}

#[test]
fn programs_that_replace_themselves() {
    let words = [programs::crasher().as_os_str(), "crash".as_ref(), "exec".as_ref()];
    check(&WAYS, [Crash::command(words, "null", SIGSEGV)]);
}

#[test]
fn children_while_the_command_succeeds() {
    let of = |kind| Crash::of(kind, SIGSEGV).on_main().ends(End::Code(0));
    check(&WAYS, [of("forked"), of("vforked"), of("grandchild"), of("children-at-once").dumps(16)]);
}

/// While it is traced, the kernel lets no signal kill the first process of a namespace.
#[test]
fn the_first_process_of_a_namespace() {
    if needs::root("the_first_process_of_a_namespace") {
        check(&WAYS, [in_namespace("namespace-init")]);
    }
}

#[test]
fn another_process_of_a_namespace() {
    if needs::root("another_process_of_a_namespace") {
        check(&WAYS, [in_namespace("namespace-child")]);
    }
}

fn in_namespace(kind: &str) -> Crash {
    Crash::of(kind, SIGSEGV).on_main().ends(End::Code(0)).ids_are_foreign()
}

#[test]
fn crashes_below_a_shell() {
    let crasher = programs::crasher().to_str().unwrap();
    let shell = |script: &str, end| {
        let script = script.replace("CRASHER", &format!("'{crasher}'"));
        Crash::command(["sh", "-c", &script], "null", SIGSEGV).ends(end)
    };
    let rows = [
        shell("CRASHER crash null $0; exit 5", End::Code(5)),
        shell("CRASHER crash null $0 | cat", End::Code(0)),
        shell("exec CRASHER crash null $0", End::Signal(SIGSEGV)),
        shell("CRASHER crash null $0 & wait", End::Code(0)),
    ];
    check(&WAYS, rows);
}

#[test]
fn programs_in_c() {
    let Some(program) = compiled("programs_in_c", "cc", "crash.c") else { return };
    let of = |kind, signal| Crash::of_program(&program.path(), kind, signal);
    let rows = [
        of("null", SIGSEGV),
        of("abort", SIGABRT),
        of("assert", SIGABRT),
        of("double-free", SIGABRT),
        of("overflow", SIGSEGV).stack(Stack::Overflowed),
    ];
    check(&WAYS, rows);
}

#[test]
fn programs_in_cpp() {
    let Some(program) = compiled("programs_in_cpp", "c++", "crash.cpp") else { return };
    let of = |kind, signal| Crash::of_program(&program.path(), kind, signal);
    let rows = [
        of("throw", SIGABRT),
        of("noexcept", SIGABRT),
        of("pure-virtual", SIGABRT),
        of("overflow", SIGSEGV).stack(Stack::Overflowed),
    ];
    check(&WAYS, rows);
}

#[test]
fn a_command_that_ends_by_itself_leaves_no_dump() {
    let assert_no_dump = |words: &[&str], end| {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        for way in WAYS.into_iter().filter(|way| way.is_open()) {
            let outcome = way.run(&words);
            assert_eq!(
                (outcome.end, outcome.dumps.len()),
                (end, 0),
                "{way:?}: {words:?}: {}",
                outcome.stderr
            );
        }
    };
    for code in [0, 1, 3, 77, 255] {
        assert_no_dump(&["sh", "-c", &format!("exit {code}")], End::Code(code));
    }
    let crasher = programs::crasher().to_str().unwrap();
    for thread in ["main", "thread"] {
        assert_no_dump(&[crasher, "crash", "handles-own-segv", thread], End::Code(0));
    }
}

#[test]
fn a_command_that_somebody_kills_or_asks_to_end_leaves_no_dump() {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGALRM] {
        let folder = tempfile::tempdir().unwrap();
        let words = [programs::crasher().into(), "threads".into(), "2".into()];
        let mut target = Target::start_command(&mut Way::Supervisor.command(folder.path(), &words));
        let pid = i32::try_from(target.number("pid")).unwrap();
        // SAFETY: kill takes two numbers. The process is the crasher: it has just reported, and nobody has reaped it.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
        assert_eq!(end_by_code(target.wait()), End::Signal(signal));
        assert_eq!(dump_files(folder.path()), Vec::<PathBuf>::new(), "signal {signal}");
    }
}
