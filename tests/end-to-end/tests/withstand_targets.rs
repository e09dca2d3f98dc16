//! Targets in states that a dumper must withstand: each gives a dump with the right contents, and runs on unharmed.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::process::wait_until;
use end_to_end::target::pattern;
use end_to_end::unharmed::{assert_not_held, assert_unharmed, wait_for_stop};
use end_to_end::{Dump, Target, dump, dump_with, elf, needs, proc_files, programs};
use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_main_thread_has_exited() {
    let mut target = Target::start(["main-exited"]);
    let dump = dump(target.pid());
    dump.assert_parked(&target.parked());
    assert!(dump.threads_with_registers().contains(&target.tid("server")));
    assert_main_module(&dump, programs::crasher());
    assert_eq!(
        dump.stream(0x4767_0009),
        Some(proc_files::read(target.pid(), &format!("task/{}/maps", target.tid("server"))))
    );
    assert_unharmed_without_main(&mut target);
}

#[test]
fn a_stack_pointer_points_nowhere() {
    for variant in ["low", "noncanonical"] {
        let mut target = Target::start(["sp-garbage", variant]);
        let dump = dump(target.pid());
        let context = dump.context(target.tid("tid")).expect("the lost thread has registers");
        assert_eq!(context.rsp, target.number("sp"), "{variant}");
        assert!(dump.memory(context.rip, 16).is_some(), "the code that it runs is there");
        dump.assert_parked(&target.parked());
        assert_unharmed(&mut target);
    }
}

#[test]
fn a_stack_pointer_is_in_the_guard_area() {
    let mut target = Target::start(["sp-guard", "64"]);
    let dump = dump(target.pid());
    assert_eq!(dump.context(target.tid("tid")).unwrap().rsp, target.number("sp"));
    assert_pattern(&dump, &target.facts["lowest"]);
    assert_pattern(&dump, &target.facts["frame"]);
    assert_unharmed(&mut target);
}

#[test]
fn a_long_stack_has_overflowed() {
    let mut target = Target::start(["sp-guard", "8192"]);
    let dump = dump(target.pid());
    assert_eq!(dump.context(target.tid("tid")).unwrap().rsp, target.number("sp"));
    assert_pattern(&dump, &target.facts["lowest"]);
    assert_pattern(&dump, &target.facts["frame"]);
    assert!(dump.memory_total() < 2 << 20, "{} bytes of memory", dump.memory_total());
    assert_unharmed(&mut target);
}

#[test]
fn the_stack_pointer_of_the_main_thread_is_below_its_stack() {
    let mut target = Target::start(["sp-below-main"]);
    let dump = dump(target.pid());
    assert_eq!(dump.context(target.tid("tid")).unwrap().rsp, target.number("sp"));
    assert_pattern(&dump, &target.facts["frame"]);
    assert_unharmed(&mut target);
}

#[test]
fn a_stack_is_part_of_a_mapping_of_a_gibibyte() {
    let mut target = Target::start(["huge-stack"]);
    let dump = dump(target.pid());
    dump.assert_parked(&target.parked());
    assert!(dump.bytes.len() < 4 << 20, "the dump has {} bytes", dump.bytes.len());
    assert_unharmed(&mut target);
}

#[test]
fn a_coroutine_runs_on_the_heap() {
    let mut target = Target::start(["coroutine"]);
    let dump = dump(target.pid());
    dump.assert_parked(&target.parked());
    let (start, end) = (target.number("stack"), target.number("stack_end"));
    assert!((start..end).contains(&dump.context(target.parked()[0].tid).unwrap().rsp));
    assert!(dump.bytes.len() < 4 << 20, "the dump has {} bytes", dump.bytes.len());
    assert_unharmed(&mut target);
}

#[test]
fn a_thread_is_blocked_in_vfork() {
    let mut target = Target::start(["vfork-parent"]);
    let tid = target.tid("tid");
    let dump = dump_with(target.pid(), ["--deadline", "500ms"]);
    dump.assert_parked(&target.parked());
    assert!(dump.thread_ids().contains(&tid), "the blocked thread is listed");
    assert_eq!(dump.thread_name(tid).as_deref(), Some("vfork-parent"));
    assert!(!dump.threads_with_registers().contains(&tid), "its registers are not made up");
    let told =
        dump.soft_errors().iter().any(|error| error["thread"] == tid && error["stage"] == "stop_thread");
    assert!(told, "a soft error tells why: {:?}", dump.soft_errors());
    assert_unharmed(&mut target);
    assert!(target.ask("release")["child"].is_u64(), "the blocked thread comes back when its child ends");
    assert_not_held(target.pid());
}

#[test]
fn a_stopped_process_stays_stopped() {
    let mut target = Target::start(["stopped"]);
    wait_for_stop(target.pid());
    let dump = dump(target.pid());
    dump.assert_parked(&target.parked());
    for tid in proc_files::threads(target.pid()) {
        // Let go, a thread wakes for an instant to stop again. One that ran on would not.
        wait_until("the thread to stand again", || proc_files::state(target.pid(), tid) == Some('T'));
        assert_eq!(proc_files::status_line(target.pid(), tid, "TracerPid").as_deref(), Some("0"));
    }
    // SAFETY: kill takes two numbers.
    assert_eq!(unsafe { libc::kill(target.pid(), libc::SIGCONT) }, 0);
    assert_unharmed(&mut target);
}

#[test]
fn nobody_sees_the_process_stop() {
    let target = Target::start(["threads", "4"]);
    dump(target.pid());
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let id = libc::id_t::try_from(target.pid()).unwrap();
    let events = libc::WSTOPPED | libc::WCONTINUED | libc::WEXITED | libc::WNOHANG;
    // SAFETY: `info` has room for what waitid writes; it stays all zero when there is no event.
    let (result, pid) = unsafe {
        let result = libc::waitid(libc::P_PID, id, info.as_mut_ptr(), events);
        (result, info.assume_init().si_pid())
    };
    assert_eq!((result, pid), (0, 0), "the parent is told of no stop and no continuation");
}

#[test]
fn threads_come_and_go() {
    let mut target = Target::start(["thread-churn", "4"]);
    for _ in 0..10 {
        let dump = dump(target.pid());
        dump.assert_parked(&target.parked());
        assert_eq!(dump.threads_with_registers().len(), dump.thread_ids().len(), "{:?}", dump.soft_errors());
        assert_main_module(&dump, programs::crasher());
    }
    assert_unharmed(&mut target);
}

#[test]
fn mappings_come_and_go() {
    let mut target = Target::start(["map-churn", "4"]);
    for _ in 0..10 {
        let dump = dump(target.pid());
        dump.assert_parked(&target.parked());
        assert_main_module(&dump, programs::crasher());
        assert!(dump.modules().iter().any(|module| module.path.ends_with("/libc.so.6")));
    }
    assert_unharmed(&mut target);
}

#[test]
fn the_lists_of_the_dynamic_loader_are_corrupt() {
    for scenario in [
        ["link-map-loop", ""],
        ["link-map-garbage", "next"],
        ["link-map-garbage", "name"],
        ["link-map-garbage", "self"],
        ["link-map-garbage", "map"],
    ] {
        let mut target = Target::start(scenario);
        let dump = dump(target.pid());
        dump.assert_parked(&target.parked());
        assert_main_module(&dump, programs::crasher());
        let library = dump.modules().into_iter().find(|module| module.path.ends_with("/libc.so.6"));
        let library = library.unwrap_or_else(|| panic!("{scenario:?}: the C library is a module"));
        assert_eq!(library.id, elf::build_id(Path::new(&library.path)), "{scenario:?}");
        assert!(dump.bytes.len() < 4 << 20, "{scenario:?}: the dump has {} bytes", dump.bytes.len());
        assert_unharmed(&mut target);
    }
}

#[test]
fn elf_headers_are_overwritten() {
    let mut target = Target::start(["elf-header-wiped"]);
    let dump = dump(target.pid());
    dump.assert_parked(&target.parked());
    for key in ["program", "library"] {
        let base = target.number(key);
        let module =
            dump.module_at(base).unwrap_or_else(|| panic!("the {key} is a module: {:?}", dump.soft_errors()));
        assert_eq!(module.base, base, "{key}");
        assert_eq!(module.id, elf::build_id(Path::new(&module.path)), "{key}");
        assert_eq!(module.size, elf::span(Path::new(&module.path)), "{key}");
    }
    assert_unharmed(&mut target);
}

#[test]
fn the_path_of_a_mapping_is_something_else_now() {
    for kind in ["fifo", "socket", "directory", "file", "device"] {
        if kind == "device" && !needs::root("the_path_of_a_mapping_is_something_else_now (device)") {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut target = Target::start(["path-replaced".as_ref(), folder.path().as_os_str(), kind.as_ref()]);
        let dump = dump(target.pid());
        dump.assert_parked(&target.parked());
        let module = dump.module_at(target.number("address"));
        let module = module.unwrap_or_else(|| panic!("{kind}: the mapped image is a module"));
        assert_eq!(
            module.id,
            elf::build_id(programs::crasher()),
            "{kind}: the id is that of what was mapped"
        );
        assert_eq!(Path::new(&module.path), folder.path().join("mapped.so"), "{kind}");
        assert_unharmed(&mut target);
    }
}

#[test]
fn the_executable_has_odd_names() {
    // The text of the memory map shows four literal characters \012 and a newline alike; only the file tells.
    for name in odd_names().into_iter().chain([OsStr::new("a literal \\012 and a\nnewline")]) {
        let (_folder, program) = copy_of_the_crasher(name);
        let mut target = Target::start_program(&program, ["threads", "2"]);
        let dump = dump(target.pid());
        dump.assert_parked(&target.parked());
        assert_main_module(&dump, &program);
        assert_unharmed(&mut target);
    }
}

#[test]
fn the_executable_is_deleted() {
    for name in odd_names() {
        let (_folder, program) = copy_of_the_crasher(name);
        let mut target = Target::start_program(&program, ["threads", "2"]);
        std::fs::remove_file(&program).unwrap();
        let dump = dump(target.pid());
        dump.assert_parked(&target.parked());
        assert_main_module(&dump, &program);
        assert_unharmed(&mut target);
    }
}

#[test]
fn the_executable_is_replaced() {
    let (_folder, program) = copy_of_the_crasher(OsStr::new("replaced"));
    let mut target = Target::start_program(&program, ["threads", "2"]);
    std::fs::remove_file(&program).unwrap();
    std::fs::copy(programs::dumper(), &program).unwrap();
    let dump = dump(target.pid());
    dump.assert_parked(&target.parked());
    assert_main_module(&dump, &program);
    assert_unharmed(&mut target);
}

#[test]
fn the_files_are_only_in_the_mount_namespace_of_the_target() {
    if !needs::root("the_files_are_only_in_the_mount_namespace_of_the_target") {
        return;
    }
    let (folder, program) = copy_of_the_crasher(OsStr::new("inside"));
    let place = tempfile::tempdir().unwrap();
    let inside = place.path().canonicalize().unwrap().join("inside");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", "mount --bind \"$0\" \"$1\" && exec \"$1/inside\" elf-header-wiped"]);
    command.arg(folder.path()).arg(place.path());
    let mut target = Target::start_command(&mut command);
    assert!(!inside.exists() && program.exists());
    let dump = dump(target.pid());
    dump.assert_parked(&target.parked());
    // The header in memory is gone, so base, size and id can come only from the file, which only the target sees.
    assert_main_module(&dump, &inside);
    assert_unharmed(&mut target);
}

#[test]
fn there_are_ten_thousand_mappings() {
    let mut target = Target::start(["many-maps", "10000"]);
    let dump = dump(target.pid());
    dump.assert_parked(&target.parked());
    let (area, count) = (target.number("area"), target.number("count"));
    let parsed = dump.parse();
    let list: minidump::MinidumpMemoryInfoList = parsed.get_stream().unwrap();
    for index in 0..count {
        let address = area + index * 4096;
        let info =
            list.memory_info_at_address(address).unwrap_or_else(|| panic!("page {index} is described"));
        assert_eq!((info.raw.base_address, info.raw.region_size), (address, 4096));
        assert_eq!((info.is_readable(), info.is_writable()), (index % 3 < 2, index % 3 == 1), "page {index}");
    }
    assert_unharmed(&mut target);
}

#[test]
fn there_are_two_thousand_threads() {
    let mut target = Target::start(["many-threads", "2000"]);
    let dump = dump(target.pid());
    let mut complete = dump.threads_with_registers();
    complete.sort_unstable();
    assert_eq!(complete, proc_files::threads(target.pid()));
    let parked = target.parked();
    assert_eq!(parked.len(), 2000);
    for first in [0, 777, 1990] {
        dump.assert_parked(parked.get(first..first + 10).unwrap());
    }
    assert_unharmed(&mut target);
}

#[test]
fn signals_sent_meanwhile_all_arrive() {
    const SENT: u64 = 3000;
    let mut target = Target::start(["signals"]);
    let (pid, signal) = (target.pid(), i32::try_from(target.number("signal")).unwrap());
    let sender = std::thread::spawn(move || {
        for value in 1..=SENT {
            let value =
                libc::sigval { sival_ptr: std::ptr::without_provenance_mut(usize::try_from(value).unwrap()) };
            // The queue is bounded; a full one empties as soon as the target runs.
            // SAFETY: sigqueue takes numbers; the value is not used as a pointer.
            while unsafe { libc::sigqueue(pid, signal, value) } != 0 {
                std::thread::yield_now();
            }
        }
    });
    while !sender.is_finished() {
        dump(pid);
    }
    sender.join().unwrap();
    wait_until("all signals to arrive", || target.ask("count")["received"] == SENT);
    assert_eq!(target.ask("count")["sum"], SENT * (SENT + 1) / 2, "each arrived once with its own value");
    assert_unharmed(&mut target);
}

#[test]
fn registers_stacks_and_waits_of_the_target_are_left_alone() {
    let mut target = Target::start(["self-check"]);
    for _ in 0..20 {
        dump(target.pid());
        assert_unharmed(&mut target);
    }
    let answer = target.ask("ping");
    assert_eq!((&answer["faults"], &answer["broken_waits"]), (&Value::from(0), &Value::from(0)));
}

#[test]
fn every_thread_spins() {
    let mut target = Target::start(["busy", "32"]);
    let dump = dump(target.pid());
    let complete = dump.threads_with_registers();
    for tid in target.facts["tids"].as_array().unwrap() {
        assert!(complete.contains(&u32::try_from(tid.as_u64().unwrap()).unwrap()));
    }
    assert_eq!(complete.len(), 33);
    assert_unharmed(&mut target);
}

/// As [`assert_unharmed`]; the main thread is a zombie and stays one.
#[track_caller]
fn assert_unharmed_without_main(target: &mut Target) {
    assert_eq!(proc_files::state(target.pid(), target.pid().unsigned_abs()), Some('Z'));
    assert_unharmed(target);
}

#[track_caller]
fn assert_pattern(dump: &Dump, facts: &Value) {
    let (address, bytes) = pattern(facts);
    assert_eq!(dump.memory(address, bytes.len()), Some(bytes), "the known bytes at {address:#x}");
}

/// Fails unless the first module is a crasher, under this path.
#[track_caller]
fn assert_main_module(dump: &Dump, path: &Path) {
    let modules = dump.modules();
    let main = modules.first().unwrap();
    // Minidump strings are UTF-16: what is no text cannot be kept byte by byte.
    assert_eq!(main.path, path.to_string_lossy(), "{:?}", dump.soft_errors());
    assert_eq!(main.id, elf::build_id(programs::crasher()), "the id is that of what runs");
    assert_eq!(main.size, elf::span(programs::crasher()));
}

fn odd_names() -> [&'static OsStr; 4] {
    [
        OsStr::new("plain"),
        OsStr::new("with  two spaces and (deleted)"),
        OsStr::new("a\nnew line\tand a \\n"),
        OsStr::from_bytes(b"no text \xff\xfe"),
    ]
}

fn copy_of_the_crasher(name: &OsStr) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join(name);
    std::fs::copy(programs::crasher(), &path).unwrap();
    (folder, path)
}

#[test]
fn a_signal_that_ends_the_target_still_does() {
    let mut target = Target::start(["threads", "4"]);
    dump(target.pid());
    // SAFETY: kill takes two numbers.
    assert_eq!(unsafe { libc::kill(target.pid(), libc::SIGTERM) }, 0);
    assert_eq!(target.wait().signal(), Some(libc::SIGTERM));
}
