//! `--compress`: a zstd file with the same contents, which the program reads itself.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::dump::dump_command;
use end_to_end::process::{self, Guarded};
use end_to_end::refusal::assert_refusal;
use end_to_end::target::{number, pattern};
use end_to_end::unharmed::assert_unharmed;
use end_to_end::{Target, dump, dump_with, needs, proc_files, programs};
use minidump::{Minidump, MinidumpThreadList};
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// First bytes of a zstd file: RFC 8878, 3.1.1.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Streams that do not change while a process is parked.
const STEADY: [u32; 9] = [3, 4, 7, 16, 24, 0x4767_0006, 0x4767_0007, 0x4767_0008, 0x4767_0009];

#[test]
fn a_compressed_dump_has_the_contents_of_a_plain_one() {
    let mut target = Target::start(["threads", "16"]);
    let plain = dump(target.pid());
    let packed = dump_with(target.pid(), ["--compress"]);
    assert!(packed.bytes.starts_with(&MAGIC));
    assert!(packed.bytes.len() < plain.bytes.len() / 2, "{} of {}", packed.bytes.len(), plain.bytes.len());
    let unpacked = unpack(&packed.bytes);
    assert_eq!(number(&packed.report, "uncompressed_bytes"), unpacked.len() as u64);
    assert_eq!(unpacked.len(), plain.bytes.len());
    let parsed = Minidump::read(unpacked.as_slice()).unwrap();
    for stream in STEADY {
        assert_eq!(parsed.get_raw_stream(stream).ok(), plain.stream(stream).as_deref(), "stream {stream:#x}");
    }
    let memory = parsed.get_memory().unwrap();
    for thread in target.parked() {
        for (function, address, expected) in &thread.frames {
            let range = memory.memory_at_address(*address).unwrap();
            let offset = usize::try_from(address - range.base_address()).unwrap();
            assert_eq!(
                &range.bytes()[offset..offset + expected.len()],
                expected,
                "{function} of {}",
                thread.name
            );
        }
    }
    assert_unharmed(&mut target);
}

#[test]
fn full_memory_is_compressed_when_the_target_runs_again() {
    let mut target = Target::start(["memory", "64", "touched"]);
    for way in [&["--memory", "full", "--compress"][..], &["--memory", "full", "--compress", "--cow"]] {
        let packed = dump_with(target.pid(), way);
        let unpacked = unpack(&packed.bytes);
        let parsed = Minidump::read(unpacked.as_slice()).unwrap();
        let memory = parsed.get_memory().unwrap();
        for (address, expected) in target.facts["patterns"].as_array().unwrap().iter().map(pattern) {
            let range = memory.memory_at_address(address).unwrap();
            let offset = usize::try_from(address - range.base_address()).unwrap();
            assert_eq!(range.bytes()[offset..offset + expected.len()], expected, "{way:?}: {address:#x}");
        }
        assert!(packed.bytes.len() < 16 << 20, "{} bytes", packed.bytes.len());
    }
    assert_unharmed(&mut target);
}

#[test]
fn a_pipe_gets_a_compressed_dump() {
    let mut target = Target::start(["threads", "3"]);
    for memory in ["stacks", "full"] {
        let arguments = ["--compress", "--memory", memory, "-o", "-"];
        let finished = process::run(dump_command(target.pid()).args(arguments)).expect_success("dump");
        let unpacked = unpack(&finished.stdout);
        let parsed = Minidump::read(unpacked.as_slice()).unwrap();
        let threads: MinidumpThreadList = parsed.get_stream().unwrap();
        assert_eq!(threads.threads.len(), 4);
        assert!(finished.stderr.contains("before compressing"), "{}", finished.stderr);
    }
    assert_unharmed(&mut target);
}

#[test]
fn other_programs_unpack_it() {
    let Some(zstd) = programs::reader("ZSTD", &["zstd"]) else {
        return needs::missing("other_programs_unpack_it", "there is no zstd");
    };
    let target = Target::start(["threads", "3"]);
    let packed = dump_with(target.pid(), ["--compress"]);
    let unpacked =
        process::run(Command::new(zstd).args(["-d", "-c"]).arg(&packed.path)).expect_success("zstd");
    assert!(unpacked.stdout == unpack(&packed.bytes));
}

#[test]
fn show_reads_a_compressed_dump_as_it_is() {
    let target = Target::start(["threads", "3"]);
    let packed = dump_with(target.pid(), ["--compress"]);
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.dmp");
    std::fs::write(&plain, unpack(&packed.bytes)).unwrap();
    let (mut of_packed, mut of_plain) = (show(&packed.path), show(&plain));
    assert_eq!(of_packed["bytes"], packed.bytes.len());
    assert_eq!(of_packed["uncompressed_bytes"], of_plain["bytes"]);
    assert_eq!(of_plain["uncompressed_bytes"], Value::Null);
    for shown in [&mut of_packed, &mut of_plain] {
        let shown = shown.as_object_mut().unwrap();
        shown.retain(|key, _| !["file", "bytes", "uncompressed_bytes"].contains(&key.as_str()));
    }
    assert_eq!(of_packed, of_plain);
}

#[test]
fn dump_and_show_in_one_go_works_with_a_compressed_dump() {
    let target = Target::start(["threads", "2"]);
    let packed = dump_with(target.pid(), ["--compress", "--show"]);
    let shown = &packed.report["show"];
    assert_eq!(shown["process"]["pid"], target.pid());
    assert_eq!(shown["uncompressed_bytes"], packed.report["uncompressed_bytes"]);
}

#[test]
fn the_default_name_tells_that_a_dump_is_compressed() {
    let target = Target::start(["threads", "1"]);
    let folder = tempfile::tempdir().unwrap();
    process::run(dump_command(target.pid()).arg("--compress").current_dir(folder.path()))
        .expect_success("dump");
    let path = folder.path().join(format!("crasher-{}.dmp.zst", target.pid()));
    assert!(std::fs::read(path).unwrap().starts_with(&MAGIC));
}

#[test]
fn a_full_device_and_a_full_disk_are_told_and_leave_nothing() {
    let mut target = Target::start(["memory", "8", "touched"]);
    for memory in ["stacks", "full"] {
        let arguments = ["--compress", "--memory", memory, "-o", "/dev/full"];
        let finished = process::run(dump_command(target.pid()).args(arguments));
        assert_refusal(&finished, &["No space left", "-o FILE"]);
    }
    if needs::root("a_full_device_and_a_full_disk_are_told_and_leave_nothing") {
        let folder = tempfile::tempdir().unwrap();
        // In a mount namespace of its own, so that nothing has to be unmounted.
        let script = "mount -t tmpfs -o size=64k none \"$1\" && cd \"$1\" || exit 99; \
                      \"$0\" dump $2 --memory full --compress -o x.dmp; code=$?; ls -A; exit $code";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script]).arg(programs::dumper()).arg(folder.path());
        let finished = process::run(command.arg(target.pid().to_string()));
        assert_refusal(&finished, &["No space left", "-o FILE"]);
    }
    assert_unharmed(&mut target);
}

#[test]
fn a_damaged_compressed_dump_is_refused_wherever_it_is_damaged() {
    let target = Target::start(["threads", "3"]);
    let whole = dump_with(target.pid(), ["--compress"]).bytes;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.dmp");
    let attempt = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        process::run(Command::new(programs::dumper()).arg("show").arg(&path))
    };
    for part in 1..20 {
        let finished = attempt(&whole[..(whole.len() * part / 20).max(4)]);
        assert_refusal(&finished, &[path.to_str().unwrap(), "compressed and damaged"]);
    }
    let shown = attempt(&whole).expect_success("show");
    for part in 1..20 {
        let mut bytes = whole.clone();
        bytes[whole.len() * part / 20] ^= 0x20;
        let finished = attempt(&bytes);
        if finished.status.success() {
            // A few bits fill up bytes and mean nothing (RFC 8878, 4.1): what they pack is whole, as its checksum says.
            assert_eq!(finished.stdout, shown.stdout, "part {part}");
        } else {
            assert_refusal(&finished, &[path.to_str().unwrap(), "compressed and damaged"]);
        }
    }
}

#[test]
fn a_bomb_takes_neither_memory_nor_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.dmp");
    let mut encoder = zstd::Encoder::new(File::create(&path).unwrap(), 3).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..2048).for_each(|_| encoder.write_all(&zeros).unwrap());
    encoder.finish().unwrap();
    let mut command = Command::new(programs::dumper());
    command.arg("show").arg(&path).env("TMPDIR", folder.path());
    let mut dumper = Guarded::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    let pid = dumper.pid();
    let (mut peak, mut status) = (0, None);
    process::wait_until("show to end", || {
        let line = proc_files::status_line(pid, pid.unsigned_abs(), "VmHWM");
        let size = line.and_then(|line| line.trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(size.unwrap_or(0) * 1024);
        status = dumper.child().try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(1), "zeros are no minidump");
    assert!(peak < 32 << 20, "{peak} bytes of memory for 2 GiB of zeros");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left");
}

#[track_caller]
fn unpack(bytes: &[u8]) -> Vec<u8> {
    zstd::decode_all(bytes).unwrap()
}

#[track_caller]
fn show(path: &Path) -> Value {
    let mut command = Command::new(programs::dumper());
    let finished = process::run(command.arg("show").arg(path).arg("--json")).expect_success("show");
    serde_json::from_slice(&finished.stdout).unwrap()
}
