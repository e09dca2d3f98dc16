//! Where the dump goes: files, pipes, and places that fail. A failure is one clear sentence and leaves nothing under the
//! final name; the target never notices.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::process::{self, Finished, Guarded};
use end_to_end::refusal::assert_refusal;
use end_to_end::unharmed::assert_unharmed;
use end_to_end::{Target, dump, needs, programs};
use minidump::{Minidump, MinidumpThreadList};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The user id of `nobody`.
const NOBODY: u32 = 65534;

#[test]
fn a_dump_to_standard_output_is_whole_and_alone() {
    let mut target = Target::start(["threads", "3"]);
    let finished = process::run(&mut to(&target, Path::new("-"))).expect_success("dump to standard output");
    assert_whole(&finished.stdout, 4);
    assert_unharmed(&mut target);
}

#[test]
fn a_dump_can_be_compressed_on_the_way() {
    let Some(packer) = programs::reader("ZSTD", &["zstd", "gzip"]) else {
        return needs::missing("a_dump_can_be_compressed_on_the_way", "there is neither zstd nor gzip");
    };
    let target = Target::start(["threads", "3"]);
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("packed");
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg("\"$0\" dump \"$1\" -o - | \"$2\" -c > \"$3\"").arg(programs::dumper());
    shell.arg(target.pid().to_string()).arg(&packer).arg(&packed);
    process::run(&mut shell).expect_success("the pipeline");
    let input = File::open(packed).unwrap();
    let mut unpack = Command::new(packer);
    let unpacked = process::run_with_input(unpack.arg("-dc"), input).expect_success("unpacking");
    assert_whole(&unpacked.stdout, 4);
}

#[test]
fn the_reader_of_a_pipe_has_gone() {
    let mut target = Target::start(["threads", "3"]);
    let (reads, writes) = std::io::pipe().unwrap();
    drop(reads);
    let finished = run_into(&mut to(&target, Path::new("-")), writes.into());
    assert_refusal(&finished, &["reader"]);
    assert_unharmed(&mut target);
}

#[test]
fn the_reader_of_a_pipe_goes_in_the_middle() {
    let mut target = Target::start(["threads", "64"]);
    let (mut reads, writes) = std::io::pipe().unwrap();
    let reader = std::thread::spawn(move || reads.read_exact(&mut [0; 1000]));
    let finished = run_into(&mut to(&target, Path::new("-")), writes.into());
    reader.join().unwrap().unwrap();
    assert_refusal(&finished, &["reader"]);
    assert_unharmed(&mut target);
}

#[test]
fn a_reader_that_never_reads_holds_up_the_dumper_but_not_the_target() {
    let mut target = Target::start(["sampler", "200"]);
    let (reads, writes) = std::io::pipe().unwrap();
    let mut command = to(&target, Path::new("-"));
    let mut dumper =
        Guarded::start(command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(OwnedFd::from(writes)));
    drop(command);
    // The first byte tells that the capture is over and the writing has begun; a pipe holds far less than the dump.
    let mut first = [0];
    let mut reads = reads;
    reads.read_exact(&mut first).unwrap();
    assert_unharmed(&mut target);
    assert_eq!(dumper.child().try_wait().unwrap(), None, "the dumper waits for its reader");
    let mut rest = first.to_vec();
    reads.read_to_end(&mut rest).unwrap();
    assert!(dumper.wait("the dumper").success());
    assert_whole(&rest, 202);
}

#[test]
fn the_disk_is_full() {
    if !needs::root("the_disk_is_full") {
        return;
    }
    let mut target = Target::start(["threads", "64"]);
    let folder = tempfile::tempdir().unwrap();
    // In a mount namespace of its own, so that nothing has to be unmounted.
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", "mount -t tmpfs -o size=64k none \"$1\" && cd \"$1\" || exit 99; \"$0\" dump $2 -o x.dmp; code=$?; ls -A; exit $code"]);
    command.arg(programs::dumper()).arg(folder.path()).arg(target.pid().to_string());
    let finished = process::run(&mut command);
    assert_refusal(&finished, &["written", "No space left", "-o FILE"]);
    assert_unharmed(&mut target);
}

#[test]
fn the_device_is_full() {
    let mut target = Target::start(["threads", "3"]);
    let finished = process::run(&mut to(&target, Path::new("/dev/full")));
    assert_refusal(&finished, &["No space left", "-o FILE"]);
    let kind = std::fs::metadata("/dev/full").unwrap().file_type();
    assert!(kind.is_char_device(), "the device is still one");
    assert_unharmed(&mut target);
}

#[test]
fn the_file_may_not_grow() {
    let mut target = Target::start(["threads", "64"]);
    let folder = tempfile::tempdir().unwrap();
    let mut command = to(&target, &folder.path().join("x.dmp"));
    // SAFETY: setrlimit and signal are async-signal-safe, and the structure outlives the call.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: 16 * 1024, rlim_max: 16 * 1024 };
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit);
            // Otherwise the signal of the limit kills the dumper.
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            Ok(())
        });
    }
    assert_refusal(&process::run(&mut command), &["File too large", "-o FILE"]);
    assert_empty(folder.path());
    assert_unharmed(&mut target);
}

#[test]
fn the_directory_is_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let public = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dmp");
    // Nothing is read-only for root: then everything is done as somebody else.
    // SAFETY: geteuid has no arguments and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    let mode =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let copy = |program: &Path| {
        let copy = public.path().join(program.file_name().unwrap());
        std::fs::copy(program, &copy).unwrap();
        mode(&copy, 0o755);
        copy
    };
    mode(public.path(), 0o755);
    let (mut crasher, mut dumper) =
        (Command::new(copy(programs::crasher())), Command::new(copy(programs::dumper())));
    if root {
        crasher.uid(NOBODY).gid(NOBODY);
        dumper.uid(NOBODY).gid(NOBODY);
    }
    let mut target = Target::start_command(crasher.args(["threads", "3"]));
    mode(folder.path(), 0o555);
    let finished = process::run(dumper.arg("dump").arg(target.pid().to_string()).arg("-o").arg(&path));
    mode(folder.path(), 0o755);
    assert_refusal(&finished, &[path.to_str().unwrap(), "Permission denied", "-o FILE"]);
    assert_empty(folder.path());
    assert_unharmed(&mut target);
}

#[test]
fn the_directory_does_not_exist() {
    let mut target = Target::start(["threads", "1"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/x.dmp");
    let finished = process::run(&mut to(&target, &path));
    assert_refusal(&finished, &[path.to_str().unwrap(), "directory", "-o FILE"]);
    assert_empty(folder.path());
    assert_unharmed(&mut target);
}

#[test]
fn the_destination_is_a_directory() {
    let mut target = Target::start(["threads", "1"]);
    let folder = tempfile::tempdir().unwrap();
    let finished = process::run(&mut to(&target, folder.path()));
    assert_refusal(&finished, &[folder.path().to_str().unwrap(), "-o FILE"]);
    assert_empty(folder.path());
    assert_unharmed(&mut target);
}

#[test]
fn a_named_pipe_gets_the_dump_and_stays_a_pipe() {
    let target = Target::start(["threads", "3"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path ends with NUL.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let other = path.clone();
    let reader = std::thread::spawn(move || std::fs::read(other).unwrap());
    process::run(&mut to(&target, &path)).expect_success("dump to a named pipe");
    assert_whole(&reader.join().unwrap(), 4);
    assert!(std::fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let target = Target::start(["threads", "1"]);
    process::run(&mut to(&target, Path::new("/dev/null"))).expect_success("dump to the null device");
    assert!(std::fs::symlink_metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn an_older_dump_is_replaced_as_a_whole() {
    let target = Target::start(["threads", "3"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dmp");
    std::fs::write(&path, vec![b'x'; 10_000_000]).unwrap();
    process::run(&mut to(&target, &path)).expect_success("dump over an older file");
    assert_whole(&std::fs::read(&path).unwrap(), 4);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_default_place_is_a_file_named_after_the_program_in_the_current_directory() {
    let target = Target::start(["threads", "3"]);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(programs::dumper());
    command.arg("dump").arg(target.pid().to_string()).current_dir(folder.path());
    process::run(&mut command).expect_success("dump without -o");
    let path = folder.path().join(format!("crasher-{}.dmp", target.pid()));
    assert_whole(&std::fs::read(path).unwrap(), 4);
}

#[test]
fn two_dumps_of_a_parked_process_differ_in_nothing_that_matters() {
    let target = Target::start(["threads", "3"]);
    let (one, other) = (dump(target.pid()), dump(target.pid()));
    assert_eq!(one.thread_ids(), other.thread_ids());
    assert_eq!(one.bytes.len(), other.bytes.len());
    for tid in one.thread_ids() {
        let registers = |dump: &end_to_end::Dump| {
            dump.context(tid).map(|context| (context.rip, context.rsp, context.rbp))
        };
        assert_eq!(registers(&one), registers(&other));
    }
}

fn to(target: &Target, path: &Path) -> Command {
    let mut command = Command::new(programs::dumper());
    command.arg("dump").arg(target.pid().to_string()).arg("-o").arg(path);
    command
}

/// Runs `command` with its standard output going to `output`, of which this keeps no copy.
fn run_into(command: &mut Command, output: OwnedFd) -> Finished {
    let errors = tempfile::NamedTempFile::new().unwrap();
    command.stdin(Stdio::null()).stderr(File::create(errors.path()).unwrap()).stdout(output);
    let mut dumper = Guarded::start(command);
    // The command holds the descriptor until then.
    command.stdout(Stdio::null());
    let status = dumper.wait("the dumper");
    Finished { status, stdout: Vec::new(), stderr: std::fs::read_to_string(errors.path()).unwrap() }
}

#[track_caller]
fn assert_whole(bytes: &[u8], threads: usize) {
    let dump = Minidump::read(bytes).unwrap();
    let list: MinidumpThreadList = dump.get_stream().unwrap();
    assert_eq!(list.threads.len(), threads);
    let memory = dump.get_memory().unwrap();
    let total: u64 = memory.iter().map(|region| region.size()).sum();
    assert!(total > 0 && total < bytes.len() as u64, "the memory is inside the file");
}

#[track_caller]
fn assert_empty(folder: &Path) {
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "nothing is left, but there is {left:?}");
}

#[test]
fn the_dumper_takes_little_more_memory_than_the_dump() {
    const ALLOWANCE: usize = 8 << 20;
    const UNREAD: usize = 1 << 20;
    let target = Target::start(["many-threads", "1024"]);
    let size = dump(target.pid()).bytes.len();
    assert!(size > 2 * UNREAD, "a dump of 1,024 threads has {size} bytes");
    let (mut reads, writes) = std::io::pipe().unwrap();
    let mut command = to(&target, Path::new("-"));
    let mut dumper =
        Guarded::start(command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(OwnedFd::from(writes)));
    drop(command);
    reads.read_exact(&mut vec![0; size - UNREAD]).unwrap();
    // What is left is more than a pipe and the dumper's buffer hold: it waits, and has done all but write.
    let peak =
        end_to_end::proc_files::status_line(dumper.pid(), dumper.pid().unsigned_abs(), "VmHWM").unwrap();
    let peak = peak.trim_end_matches(" kB").parse::<usize>().unwrap() * 1024;
    assert!(peak <= size + ALLOWANCE, "peak {peak} bytes for a dump of {size} bytes");
    reads.read_to_end(&mut Vec::new()).unwrap();
    assert!(dumper.wait("the dumper").success());
}
