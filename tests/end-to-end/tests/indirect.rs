//! `--memory indirect`: memory that registers and stacks point at, within a budget.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use end_to_end::pointed_to::{Memory, targets, threads};
use end_to_end::target::{bytes, number};
use end_to_end::unharmed::assert_unharmed;
use end_to_end::{Target, dump, dump_with, proc_files};
use serde_json::Value;

/// Bytes that this mode adds at most.
const BUDGET: u64 = 4 << 20;
/// Least that is kept on both sides of where a pointer leads.
const AROUND: u64 = 256;

#[test]
fn what_stacks_point_at_is_there() {
    let mut target = Target::start(["pointers", "4"]);
    let plain = dump(target.pid());
    let dump = dump_with(target.pid(), ["--memory", "indirect"]);
    let (memory, plain) = (Memory::of(&dump), Memory::of(&plain));
    for thread in threads(&target) {
        for target in targets(&thread) {
            assert!(memory.has(&target), "{target}");
            assert!(!plain.has(&target), "it would not be there otherwise: {target}");
        }
    }
    dump.assert_parked(&target.parked());
    assert_unharmed(&mut target);
}

#[test]
fn there_is_memory_on_both_sides_of_a_pointer() {
    let target = Target::start(["pointers", "1"]);
    let dump = dump_with(target.pid(), ["--memory", "indirect"]);
    for fact in targets(&threads(&target)[0]) {
        let start = number(&fact, "address") - AROUND;
        let length = usize::try_from(2 * AROUND).unwrap();
        let expected = proc_files::memory(target.pid(), start, length);
        assert_eq!(dump.memory(start, length), Some(expected), "around {fact}");
    }
}

#[test]
fn what_a_register_points_at_is_there() {
    let target = Target::start(["pointers", "1"]);
    let address = target.number("hidden") ^ target.number("mask");
    let dump = dump_with(target.pid(), ["--memory", "indirect"]);
    let expected = bytes(&target.facts);
    assert_eq!(dump.memory(address, expected.len()), Some(expected));
    let spinning = dump.threads_with_registers();
    assert!(spinning.iter().any(|tid| dump.context(*tid).unwrap().r12 == address), "R12 points there");
}

#[test]
fn the_budget_is_kept_and_the_blamed_thread_comes_first() {
    let target = Target::start(["pointers", "200"]);
    let threads = threads(&target);
    let plain = dump(target.pid()).memory_total();
    for blamed in [&threads[0], threads.last().unwrap()] {
        let tid = number(blamed, "tid").to_string();
        let dump = dump_with(target.pid(), ["--memory", "indirect", "--tid", &tid]);
        let memory = Memory::of(&dump);
        for target in targets(blamed) {
            assert!(memory.has(&target), "{target} of the blamed thread {tid}");
        }
        let added = dump.memory_total().saturating_sub(plain);
        // The blamed thread keeps more of its stack, too; here all stacks are short.
        assert!(added <= BUDGET + (64 << 10), "{added} bytes were added");
        let all = threads.iter().flat_map(targets).filter(|target| memory.has(target)).count();
        assert!(all > 2000, "the budget is used: {all} places are there");
    }
}

#[test]
fn no_byte_is_there_twice() {
    let target = Target::start(["pointers", "8"]);
    let dump = dump_with(target.pid(), ["--memory", "indirect"]);
    let parsed = dump.parse();
    let memory = parsed.get_memory().unwrap();
    let mut ranges: Vec<(u64, u64)> =
        memory.iter().map(|range| (range.base_address(), range.base_address() + range.size())).collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "{pair:x?} overlap");
    }
}

#[test]
fn memory_that_the_application_chose_is_there_as_far_as_it_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let target = Target::start(["memory", "16", "touched", path]);
    let (start, size) = (target.number("start"), target.number("size"));
    let cut = &target.facts["cut"];
    let chosen =
        [(start + 8192, 65_536), (number(cut, "address"), number(cut, "size")), (start + size - 4096, 4096)];
    let arguments =
        chosen.iter().flat_map(|(address, size)| ["--app-memory".to_owned(), format!("{address:#x}:{size}")]);
    let dump = dump_with(target.pid(), arguments);
    for (start, size) in [chosen[0], chosen[2], (number(cut, "address"), 4096)] {
        let length = usize::try_from(size).unwrap();
        let expected = proc_files::memory(target.pid(), start, length);
        assert!(dump.memory(start, length) == Some(expected), "{size} bytes at {start:#x}");
    }
    let unreadable = number(cut, "address") + 4096;
    let told = dump.soft_errors();
    let concerns = |error: &Value| {
        let (Some(start), Some(size)) = (error["address"].as_u64(), error["size"].as_u64()) else {
            return false;
        };
        start <= unreadable && unreadable < start + size
    };
    assert!(told.iter().any(concerns), "a soft error tells of the unreadable page: {told:?}");
}
