//! Processes that cannot be dumped: one sentence says so, names the way out, and nothing is left behind.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::process::{self, Finished};
use end_to_end::refusal::assert_refusal;
use end_to_end::unharmed::{assert_not_held, assert_unharmed};
use end_to_end::{Target, dump, needs, proc_files, programs};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The user id of `nobody`.
const NOBODY: u32 = 65534;

#[test]
fn process_0_and_negative_ids_are_usage_errors() {
    for pid in ["0", "-1", "-4242"] {
        let finished = attempt(pid);
        assert_eq!(finished.status.code(), Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains("process"), "{}", finished.stderr);
    }
}

#[test]
fn a_process_that_does_not_exist() {
    let limit: i32 = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap().trim().parse().unwrap();
    let unused =
        (1..limit).rev().find(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()).unwrap();
    for pid in [unused, limit + 1, i32::MAX] {
        assert_refusal(&attempt(&pid.to_string()), &[&format!("there is no process {pid}")]);
    }
}

#[test]
fn a_kernel_thread() {
    const PF_KTHREAD: u64 = 0x0020_0000;
    let flags = std::fs::read_to_string("/proc/2/stat")
        .ok()
        .and_then(|stat| stat.rsplit_once(") ")?.1.split(' ').nth(6)?.parse::<u64>().ok());
    if flags.is_none_or(|flags| flags & PF_KTHREAD == 0) {
        return needs::not_here("a_kernel_thread", "process 2 is no kernel thread here (a container?)");
    }
    assert_refusal(&attempt("2"), &["process 2", "kernel thread"]);
}

#[test]
fn a_zombie() {
    let mut target = Target::start(["zombie"]);
    let child = target.number("child");
    assert_refusal(&attempt(&child.to_string()), &[&format!("process {child}"), "zombie", "parent"]);
    assert_unharmed(&mut target);
}

#[test]
fn a_process_that_is_traced_already() {
    let mut target = Target::start(["traced"]);
    let child = target.tid("child");
    let finished = attempt(&child.to_string());
    let tracer = target.pid().to_string();
    assert_refusal(&finished, &[&format!("process {child}"), "traced", &tracer, "crasher", "detach"]);
    let still = proc_files::status_line(child.try_into().unwrap(), child, "TracerPid");
    assert_eq!(still, Some(tracer), "its tracer keeps it");
    assert_unharmed(&mut target);
}

#[test]
fn a_process_of_another_user() {
    if !needs::root("a_process_of_another_user") {
        return;
    }
    let mut target = Target::start(["threads", "2"]);
    let (folder, dumper) = public_copy();
    let output = tempfile::tempdir().unwrap();
    std::fs::set_permissions(output.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let path = output.path().join("x.dmp");
    let mut command = Command::new(dumper);
    command.arg("dump").arg(target.pid().to_string()).arg("-o").arg(path).uid(NOBODY).gid(NOBODY);
    let finished = process::run(command.current_dir(folder.path()));
    let pid = target.pid().to_string();
    assert_refusal(&finished, &["permission", &pid]);
    let remedies = ["root", "sudo", "CAP_SYS_PTRACE"];
    assert!(remedies.iter().any(|remedy| finished.stderr.contains(remedy)), "{}", finished.stderr);
    assert_eq!(std::fs::read_dir(output.path()).unwrap().count(), 0, "nothing is left");
    assert_unharmed(&mut target);
}

#[test]
fn a_process_of_the_same_unprivileged_user_can_be_dumped() {
    if !needs::root("a_process_of_the_same_unprivileged_user_can_be_dumped") {
        return;
    }
    let (_folder, dumper) = public_copy();
    let (_other, crasher) = public_copy_of(programs::crasher());
    let mut target =
        Target::start_command(Command::new(crasher).args(["threads", "3"]).uid(NOBODY).gid(NOBODY));
    let mut command = Command::new(dumper);
    command.arg("dump").arg(target.pid().to_string()).args(["-o", "-"]).uid(NOBODY).gid(NOBODY);
    let finished = process::run(&mut command).expect_success("dump as nobody");
    let parsed = minidump::Minidump::read(finished.stdout.as_slice()).unwrap();
    let threads: minidump::MinidumpThreadList = parsed.get_stream().unwrap();
    assert_eq!(threads.threads.len(), 4);
    assert_unharmed(&mut target);
}

#[test]
fn a_thread_that_is_not_of_the_process() {
    let mut target = Target::start(["threads", "2"]);
    let other = Target::start(["threads", "1"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dmp");
    let arguments =
        ["dump".into(), target.pid().to_string(), "--tid".into(), other.pid().to_string(), "-o".into()];
    let finished = process::run(Command::new(programs::dumper()).args(arguments).arg(&path));
    if finished.status.success() {
        // A dump all the same, with the main thread blamed and the mistake told.
        assert!(finished.stderr.contains(&other.pid().to_string()), "{}", finished.stderr);
    } else {
        assert_refusal(&finished, &[&other.pid().to_string()]);
        assert!(!path.exists());
    }
    assert_unharmed(&mut target);
    assert_not_held(other.pid());
}

#[test]
fn a_shell_that_waits_for_the_dumper_is_no_exception() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shell.dmp");
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg("\"$0\" dump $$ -o \"$1\"; echo $?").arg(programs::dumper()).arg(&path);
    let finished = process::run(&mut shell).expect_success("the shell");
    assert_eq!(finished.stdout, b"0\n", "{}", finished.stderr);
    let bytes = std::fs::read(&path).unwrap();
    minidump::Minidump::read(bytes.as_slice()).unwrap();
}

#[test]
fn a_refused_dump_leaves_an_older_file_alone() {
    let target = Target::start(["threads", "1"]);
    let whole = dump(target.pid());
    let path = whole.path.clone();
    let zombie = Target::start(["zombie"]);
    let pid = zombie.number("child").to_string();
    let finished = process::run(Command::new(programs::dumper()).args(["dump", &pid, "-o"]).arg(&path));
    assert_refusal(&finished, &["zombie"]);
    assert_eq!(std::fs::read(&path).unwrap(), whole.bytes);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
}

/// Tries to dump `pid` into an empty folder and checks that it stays empty.
#[track_caller]
fn attempt(pid: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dmp");
    let finished = process::run(Command::new(programs::dumper()).args(["dump", pid, "-o"]).arg(&path));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    finished
}

/// A copy of the dumper that everybody may run: a checkout may lie where only its owner gets.
fn public_copy() -> (tempfile::TempDir, std::path::PathBuf) {
    public_copy_of(programs::dumper())
}

fn public_copy_of(program: &std::path::Path) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join(program.file_name().unwrap());
    std::fs::copy(program, &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    (folder, copy)
}
