//! `--memory full`: all that is readable, minus what the program excluded, in little memory, also above 4 GiB.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

use end_to_end::extended::{word32, word64};
use end_to_end::process::{self, Guarded};
use end_to_end::target::{bytes, number, pattern};
use end_to_end::unharmed::assert_unharmed;
use end_to_end::{Dump, Target, dump_with, proc_files, programs};
use minidump::Minidump;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const PAGE: u64 = 4096;
/// Most memory that the program may take, whatever the size of the target.
const MOST_MEMORY: u64 = 24 << 20;
/// Stream of a memory list with 64-bit sizes.
const MEMORY_64_LIST: u32 = 9;
/// Stream of our own that tells where the table of holes is (docs/minidump-format.md).
const HOLE_LOCATOR: u32 = 0x4d44_0001;

/// Both ways to take all memory.
const WAYS: [&[&str]; 2] = [&["--memory", "full"], &["--memory", "full", "--cow"]];

/// Size of the large target. The benches of this project take 6,144.
fn mebibytes() -> String {
    std::env::var("FULL_MEMORY_MIB").unwrap_or_else(|_| "300".into())
}

#[test]
fn every_page_of_a_large_mapping_is_right() {
    assert_every_page(WAYS[0]);
}

#[test]
fn every_page_is_right_in_a_dump_from_a_copy() {
    assert_every_page(WAYS[1]);
}

#[track_caller]
fn assert_every_page(way: &[&str]) {
    let mut target = Target::start(["memory", &mebibytes(), "touched"]);
    let dump = dump_with(target.pid(), way);
    let (start, size) = (target.number("start"), target.number("size"));
    let patterns: Vec<_> = target.facts["patterns"].as_array().unwrap().iter().map(pattern).collect();
    for (address, expected) in &patterns {
        assert_eq!(dump.memory(*address, expected.len()).as_ref(), Some(expected), "at {address:#x}");
    }
    let parsed = dump.parse();
    let memory = parsed.get_memory().unwrap();
    let mut next = start;
    while next < start + size {
        let range = memory.memory_at_address(next).expect("the page is there");
        let contents = &range.bytes()[usize::try_from(next - range.base_address()).unwrap()..];
        for (contents, page) in contents.chunks(4096).zip((next..start + size).step_by(4096)) {
            assert_eq!(word64(contents, 0), page, "the page at {page:#x} begins with its address");
            next = page + PAGE;
        }
    }
    dump.assert_parked(&target.parked());
    assert_unharmed(&mut target);
}

#[test]
fn what_the_program_excluded_and_devices_are_left_out() {
    assert_left_out(WAYS[0]);
}

#[test]
fn a_dump_from_a_copy_leaves_the_same_out() {
    assert_left_out(WAYS[1]);
}

#[track_caller]
fn assert_left_out(way: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut arguments = vec!["memory".to_owned(), "16".into(), "touched".into(), path.into()];
    // Not every machine has a device whose memory can be mapped; the kernel's own page of the clock is on all.
    arguments.extend(mappable_device().map(|path| path.to_str().unwrap().to_owned()));
    let mut target = Target::start(&arguments);
    let dump = dump_with(target.pid(), way);
    let mut left_out = vec![range(&target.facts["excluded"]), range(&target.facts["forbidden"])];
    left_out.extend(target.facts.get("device").map(range));
    let maps = proc_files::maps(target.pid());
    left_out.extend(
        maps.iter()
            .filter(|mapping| mapping.name.starts_with("[vvar"))
            .map(|mapping| (mapping.start, mapping.end)),
    );
    for (start, end) in left_out {
        for (base, limit) in ranges(&dump) {
            assert!(limit <= start || end <= base, "{base:#x} to {limit:#x} holds what is in {start:#x}");
        }
    }
    // Everything else that can be read is there, and only that.
    let cut = &target.facts["cut"];
    let (address, expected) = (number(cut, "address"), bytes(cut));
    assert_eq!(dump.memory(address, expected.len()), Some(expected), "the first page of the cut file");
    for mapping in
        maps.iter().filter(|mapping| mapping.rights.starts_with('r') && mapping.name.ends_with(".so.6"))
    {
        let length = usize::try_from(mapping.end - mapping.start).unwrap();
        let contents = proc_files::memory(target.pid(), mapping.start, length);
        assert!(dump.memory(mapping.start, length) == Some(contents), "{mapping:?}");
    }
    assert_unharmed(&mut target);
}

#[test]
fn a_page_that_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::start(["memory", "1", "touched", folder.path().to_str().unwrap()]);
    for way in WAYS {
        let dump = dump_with(target.pid(), way);
        let unreadable = number(&target.facts["cut"], "address") + PAGE;
        let told = holes(&dump);
        let is_told = told.iter().any(|(start, size)| (*start..start + size).contains(&unreadable));
        let is_there = dump.memory(unreadable, 8);
        assert!(is_told || is_there.is_none(), "{way:?}: neither told in {told:?} nor left out");
        assert!(is_there.is_none_or(|bytes| bytes == [0; 8]), "{way:?}");
    }
}

#[test]
fn show_says_that_a_dump_is_full() {
    let target = Target::start(["memory", "4", "touched"]);
    for (arguments, is_full) in [(&[][..], false), (WAYS[0], true)] {
        let dump = dump_with(target.pid(), arguments);
        let shown = show_json(&dump);
        assert_eq!(shown["is_full"], is_full);
        assert_eq!(dump.parse().get_raw_stream(MEMORY_64_LIST).is_ok(), is_full);
        assert_eq!(shown["memory"]["bytes"], dump.memory_total());
    }
}

#[test]
fn what_is_not_written_in_time_is_missing_and_told() {
    let mut target = Target::start(["memory", "300", "touched"]);
    // No machine copies as much in a millisecond.
    let dump = dump_with(target.pid(), ["--memory", "full", "--deadline", "1ms"]);
    let (address, expected) = pattern(&target.facts["patterns"][2]);
    let told = holes(&dump);
    let is_told = told.iter().any(|(start, size)| (*start..start + size).contains(&address));
    let missing: u64 = told.iter().map(|(_, size)| size).sum();
    assert!(is_told && missing > 100 << 20, "the missing memory is told: {told:x?}");
    assert_eq!(show_json(&dump)["memory"]["missing"], missing);
    let said = dump.report["soft_errors"].to_string();
    assert!(said.contains(&format!("{missing} bytes")) && said.contains("had to be let go"), "{said}");
    let found = dump.memory(address, expected.len());
    assert!(
        found.is_none_or(|found| found.iter().all(|byte| *byte == 0)),
        "the end of the mapping is missing"
    );
    assert_unharmed(&mut target);
}

#[test]
fn the_dumper_needs_little_memory_however_large_the_target_is() {
    let mut target = Target::start(["memory", &mebibytes(), "touched"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("full.dmp");
    let file = file.to_str().unwrap();
    for arguments in [
        &["--memory", "full", "-o", file][..],
        &["--memory", "full", "-o", "-"],
        &["--memory", "full", "-o", file, "--compress"],
        &["--memory", "full", "-o", file, "--cow"],
    ] {
        let peak = peak_memory(&target, arguments);
        assert!(peak <= MOST_MEMORY, "{arguments:?}: {peak} bytes at its peak");
    }
    assert_unharmed(&mut target);
}

#[test]
fn above_4_gib_every_size_and_place_is_right() {
    let mut target = Target::start(["memory", "4608", "sparse"]);
    let (reads, writes) = std::io::pipe().unwrap();
    let mut command = dump_command(&target, &["--memory", "full", "-o", "-"]);
    let mut dumper = Guarded::start(command.stdout(OwnedFd::from(writes)));
    drop(command);
    let patterns: Vec<_> = target.facts["patterns"].as_array().unwrap().iter().map(pattern).collect();
    let received = Stream::read(reads, &patterns);
    assert!(dumper.wait("the dumper").success());
    assert!(received.size > 4608 << 20, "{} bytes came", received.size);
    assert_eq!(received.found, patterns);
    let (start, size) = (target.number("start"), target.number("size"));
    let whole = received.ranges.iter().any(|(base, length)| *base <= start && start + size <= base + length);
    assert!(whole, "the mapping is one range of {:x?}", received.ranges);
    let memory: u64 = received.ranges.iter().map(|(_, length)| length).sum();
    assert!(received.base + memory <= received.size, "all memory is in the file");
    assert_unharmed(&mut target);
}

/// What came through a pipe of a dump that is too large to keep.
struct Stream {
    size: u64,
    /// Where the memory begins.
    base: u64,
    /// First address and size.
    ranges: Vec<(u64, u64)>,
    /// The bytes at the places asked for.
    found: Vec<(u64, Vec<u8>)>,
}

impl Stream {
    /// Reads to the end and keeps the bytes that lie at the addresses of `places`.
    #[track_caller]
    fn read(mut input: impl Read, places: &[(u64, Vec<u8>)]) -> Self {
        // Everything but memory comes first, and is far smaller.
        let mut head = vec![0; 4 << 20];
        input.read_exact(&mut head).unwrap();
        let (base, ranges) = memory_list(&head);
        let mut found: Vec<(u64, Vec<u8>)> =
            places.iter().map(|(address, _)| (*address, Vec::new())).collect();
        let wanted: Vec<(u64, u64)> = places
            .iter()
            .map(|(address, bytes)| (offset_of(base, &ranges, *address), bytes.len() as u64))
            .collect();
        let mut size = 0;
        let (mut block, mut count) = (head, 4 << 20);
        while count > 0 {
            let end = size + count as u64;
            for ((offset, length), (_, bytes)) in wanted.iter().zip(&mut found) {
                let (from, to) = ((*offset).max(size), (offset + length).min(end));
                if from < to {
                    let part = usize::try_from(from - size).unwrap()..usize::try_from(to - size).unwrap();
                    bytes.extend_from_slice(&block[part]);
                }
            }
            size = end;
            count = input.read(&mut block).unwrap();
        }
        Self { size, base, ranges, found }
    }
}

/// Offset of the memory and its ranges, from the first bytes of a dump.
#[track_caller]
fn memory_list(head: &[u8]) -> (u64, Vec<(u64, u64)>) {
    let (streams, directory) = (word32(head, 8) as usize, word32(head, 12) as usize);
    let entries = head[directory..].chunks_exact(12).take(streams);
    let list = entries.into_iter().find(|entry| word32(entry, 0) == MEMORY_64_LIST);
    let list = &head[word32(list.expect("a large dump has a list with 64-bit sizes"), 8) as usize..];
    let count = usize::try_from(word64(list, 0)).unwrap();
    let ranges = list[16..].chunks_exact(16).take(count).map(|range| (word64(range, 0), word64(range, 8)));
    (word64(list, 8), ranges.collect())
}

#[track_caller]
fn offset_of(base: u64, ranges: &[(u64, u64)], address: u64) -> u64 {
    let mut offset = base;
    for (start, size) in ranges {
        if (*start..start + size).contains(&address) {
            return offset + (address - start);
        }
        offset += size;
    }
    panic!("{address:#x} is in none of {ranges:x?}");
}

/// Runs the dumper and looks at its memory until it ends. Its output goes nowhere.
#[track_caller]
fn peak_memory(target: &Target, arguments: &[&str]) -> u64 {
    let mut command = dump_command(target, arguments);
    let mut dumper = Guarded::start(command.stdout(Stdio::piped()));
    let mut output = dumper.child().stdout.take().unwrap();
    let drain = std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    let pid = dumper.pid();
    let mut peak = 0;
    let mut status = None;
    process::wait_until("the dumper to end", || {
        let line = proc_files::status_line(pid, pid.unsigned_abs(), "VmHWM");
        let size = line.and_then(|line| line.trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(size.unwrap_or(0) * 1024);
        status = dumper.child().try_wait().unwrap();
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()), "{arguments:?}");
    drain.join().unwrap().unwrap();
    peak
}

fn dump_command(target: &Target, arguments: &[&str]) -> Command {
    let mut command = Command::new(programs::dumper());
    command.arg("dump").arg(target.pid().to_string()).args(arguments);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

#[track_caller]
fn show_json(dump: &Dump) -> Value {
    let mut command = Command::new(programs::dumper());
    let finished = process::run(command.arg("show").arg(&dump.path).arg("--json")).expect_success("show");
    serde_json::from_slice(&finished.stdout).unwrap()
}

/// The holes in the memory of a dump, from the table at its end: first address and size.
#[track_caller]
fn holes(dump: &Dump) -> Vec<(u64, u64)> {
    let Some(locator) = dump.stream(HOLE_LOCATOR) else { return Vec::new() };
    let table = &dump.bytes[usize::try_from(word64(&locator, 8)).unwrap()..];
    let count = usize::try_from(word64(table, 0)).unwrap();
    let holes = table[16..].chunks_exact(16).take(count).map(|hole| (word64(hole, 0), word64(hole, 8)));
    holes.collect()
}

/// The ranges of memory in a dump: first address and first address behind.
#[track_caller]
fn ranges(dump: &Dump) -> Vec<(u64, u64)> {
    let parsed: Minidump<&[u8]> = dump.parse();
    let memory = parsed.get_memory().unwrap();
    memory.iter().map(|range| (range.base_address(), range.base_address() + range.size())).collect()
}

#[track_caller]
fn range(fact: &Value) -> (u64, u64) {
    (number(fact, "address"), number(fact, "address") + number(fact, "size"))
}

/// The memory of a device that this process may map.
fn mappable_device() -> Option<PathBuf> {
    let devices = std::fs::read_dir("/sys/bus/pci/devices").ok()?;
    let mut files = devices
        .flatten()
        .flat_map(|device| (0..6).map(move |index| device.path().join(format!("resource{index}"))));
    files.find(|path| path.exists() && is_mappable(path))
}

fn is_mappable(path: &std::path::Path) -> bool {
    use std::os::fd::AsRawFd as _;
    let Ok(file) = File::open(path) else { return false };
    // SAFETY: a new mapping at an address of the kernel's choice, which nobody reads, and its end.
    unsafe {
        let address =
            libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0);
        address != libc::MAP_FAILED && libc::munmap(address, 4096) == 0
    }
}
