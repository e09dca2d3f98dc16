//! Dumping the same process again with one `Dumper`: what did not change is used again, and what did is seen.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail the test")]

use end_to_end::unharmed::assert_unharmed;
use end_to_end::{Dump, Target};
use minidump_writer::snapshot::MemoryMode;
use minidump_writer::{DumpOptions, Dumper, Error, Format, dump_process};

/// LinuxDsoDebug.
const LINUX_DSO_DEBUG: u32 = 0x4767_000a;

fn dump_with(dumper: &mut Dumper) -> Dump {
    let mut file = Vec::new();
    let report = dumper.dump(&mut file).unwrap();
    assert_eq!(report.bytes, file.len() as u64);
    assert_eq!(report.soft_errors, []);
    Dump::of(file)
}

fn single(pid: i32) -> Dump {
    let mut file = Vec::new();
    dump_process(pid, &DumpOptions::default(), &mut file).unwrap();
    Dump::of(file)
}

/// Entries in the loader's list.
fn entries(dump: &Dump) -> u32 {
    // MDRawDebug: version, RVA of the list, number of its entries, each 4 bytes long.
    let stream = dump.stream(LINUX_DSO_DEBUG).unwrap();
    u32::from_le_bytes(stream[8..12].try_into().unwrap())
}

#[test]
fn dumps_of_a_process_that_does_not_change_are_the_dumps_of_single_captures() {
    let mut target = Target::start(["threads", "5"]);
    let mut dumper = Dumper::open(target.pid(), DumpOptions::default()).unwrap();
    let single = single(target.pid());
    for round in 0..3 {
        let dump = dump_with(&mut dumper);
        assert_eq!(dump.modules(), single.modules(), "round {round}");
        assert_eq!(dump.thread_ids(), single.thread_ids());
        dump.assert_parked(&target.parked());
        assert_eq!(dump.bytes.len(), single.bytes.len(), "round {round}");
    }
    assert_unharmed(&mut target);
}

#[test]
fn a_library_that_was_loaded_since_is_in_the_next_dump() {
    let mut target = Target::start(["loads-on-demand"]);
    let mut dumper = Dumper::open(target.pid(), DumpOptions::default()).unwrap();
    let before = dump_with(&mut dumper);
    let loaded = target.ask("load");
    let library = loaded["library"].as_str().unwrap().to_owned();
    let (new, others): (Vec<_>, Vec<_>) =
        dump_with(&mut dumper).modules().into_iter().partition(|module| module.path.contains(&library));
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(new[0].id.len(), 20, "the build id of a library of the system");
    assert_eq!(others, before.modules());
    assert_eq!(entries(&dump_with(&mut dumper)), entries(&before) + 1);
    assert_unharmed(&mut target);
}

#[test]
fn a_program_that_was_replaced_is_read_anew() {
    let mut target = Target::start(["exec-on-demand"]);
    let mut dumper = Dumper::open(target.pid(), DumpOptions::default()).unwrap();
    let mut before = dump_with(&mut dumper);
    for generation in 1..3 {
        target.facts = target.ask("exec");
        assert_eq!(target.facts["generation"], generation);
        let dump = dump_with(&mut dumper);
        dump.assert_parked(&target.parked());
        assert_ne!(dump.modules(), before.modules(), "another layout");
        assert_eq!(dump.modules(), single(target.pid()).modules());
        before = dump;
    }
}

#[test]
fn threads_are_those_of_the_moment_each_time() {
    let mut target = Target::start(["loads-on-demand"]);
    let mut dumper = Dumper::open(target.pid(), DumpOptions::default()).unwrap();
    let before = dump_with(&mut dumper).thread_ids();
    let started = target.ask("thread");
    let tid = u32::try_from(started["tid"].as_u64().unwrap()).unwrap();
    let after = dump_with(&mut dumper).thread_ids();
    assert_eq!(after.len(), before.len() + 1);
    assert!(after.contains(&tid) && !before.contains(&tid));
}

#[test]
fn the_kind_of_dump_may_change_from_one_to_the_next() {
    let target = Target::start(["threads", "3"]);
    let mut dumper = Dumper::open(target.pid(), DumpOptions::default()).unwrap();
    let small = dump_with(&mut dumper).bytes.len();
    dumper.options_mut().memory.mode = MemoryMode::Full;
    let mut full = Vec::new();
    dumper.dump(&mut full).unwrap();
    assert!(full.len() > 2 * small, "{} {small}", full.len());
    dumper.options_mut().memory.mode = MemoryMode::Stacks;
    dumper.options_mut().format = Format::ElfCore;
    let core = dump_with(&mut dumper);
    assert_eq!(core.bytes[..4], *b"\x7fELF");
    dumper.options_mut().format = Format::Minidump;
    let last = dump_with(&mut dumper);
    assert_eq!(last.bytes.len(), small);
    last.assert_parked(&target.parked());
}

#[test]
fn a_process_that_has_ended_has_no_further_dump() {
    let target = Target::start(["threads", "2"]);
    let pid = target.pid();
    let mut dumper = Dumper::open(pid, DumpOptions::default()).unwrap();
    dump_with(&mut dumper);
    drop(target);
    let error = dumper.dump(&mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::NoSuchProcess { .. } | Error::TargetGone { .. }), "{error}");
}

#[test]
fn a_dump_that_failed_does_not_spoil_the_next_one() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut target = Target::start(["threads", "3"]);
    let mut dumper = Dumper::open(target.pid(), DumpOptions::default()).unwrap();
    let first = dump_with(&mut dumper);
    let error = dumper.dump(&mut Full).expect_err("the disk is full");
    assert!(matches!(error, Error::Output { .. }), "{error}");
    let dump = dump_with(&mut dumper);
    assert_eq!(dump.modules(), first.modules());
    dump.assert_parked(&target.parked());
    assert_unharmed(&mut target);
}
