//! The target is as it was before, whatever becomes of the dumper; and the dumper itself does not grow.

use crate::machine;
use end_to_end::process::{self, Guarded};
use end_to_end::target::number;
use end_to_end::{Target, needs};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// How often each thread of a process is suspended, as another process sees it.
#[track_caller]
fn counts(target: &Target) -> BTreeMap<u64, u64> {
    let finished = machine::run_crasher(&["counts", &machine::pid(target)]).expect_success("counts");
    let told: Value = serde_json::from_slice(&finished.stdout).unwrap();
    let counts = told["counts"].as_array().unwrap();
    assert!(!counts.is_empty(), "the process has threads");
    counts.iter().map(|entry| (number(entry, "tid"), number(entry, "count"))).collect()
}

/// The counts that the scenario `suspended` begins with.
#[track_caller]
fn expected(target: &Target) -> BTreeMap<u64, u64> {
    let told = target.facts["counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap());
    target.parked().iter().map(|thread| u64::from(thread.tid)).zip(told).collect()
}

#[track_caller]
fn assert_as_before(target: &mut Target) {
    let found = counts(target);
    for (thread, count) in expected(target) {
        assert_eq!(found.get(&thread), Some(&count), "thread {thread} of {found:?}");
    }
    assert_eq!(found.values().sum::<u64>(), 4, "nobody else is suspended: {found:?}");
    assert_eq!(target.ask("ping")["pong"], true);
}

#[test]
fn suspend_counts_are_as_before_after_a_dump() {
    let mut target = machine::start(&["suspended"]);
    assert_as_before(&mut target);
    let dump = machine::dump(&target);
    dump.assert_parked(&target.parked());
    assert_as_before(&mut target);
    machine::dump_with(&target, ["--memory", "full"]);
    assert_as_before(&mut target);
}

#[test]
fn suspend_counts_are_as_before_after_a_dump_that_failed() {
    let mut target = machine::start(&["suspended"]);
    let mut dumper = machine::dumper();
    dumper.args(["dump", &machine::pid(&target), "-o", "no/such/folder/x.dmp"]);
    assert_eq!(process::run(&mut dumper).status.code(), Some(1));
    assert_as_before(&mut target);
}

/// The moments are spread over the time that an undisturbed dump takes; what they hit is left to chance.
#[test]
fn suspend_counts_are_as_before_when_the_dumper_is_killed() {
    const MOMENTS: u32 = 30;
    let mut target = machine::start(&["suspended"]);
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut dumper = machine::dumper();
        // Wine's server falls over a list of handles that is asked for while another process has none, as at its birth.
        let arguments = ["dump", &machine::pid(&target), "-o", "x.dmp", "--omit", "handle-data"];
        dumper.current_dir(folder.path()).args(arguments);
        Guarded::start(dumper.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
    };
    let begin = std::time::Instant::now();
    assert!(start().wait("the dumper").success());
    let whole = begin.elapsed();
    let moments: Vec<Duration> = (1..=MOMENTS).map(|moment| whole * moment / MOMENTS).collect();
    let killed: Vec<Guarded> = moments
        .iter()
        .map(|moment| {
            let mut dumper = start();
            thread::sleep(*moment);
            dumper.child().kill().unwrap();
            dumper.wait("the killed dumper");
            dumper
        })
        .collect();
    assert_eq!(killed.len(), MOMENTS as usize);
    process::wait_until("the counts to be as before", || counts(&target).values().sum::<u64>() == 4);
    assert_as_before(&mut target);
}

#[test]
fn a_thousand_dumps_leave_neither_handles_nor_memory_behind() {
    if !machine::is_wide() {
        return needs::not_here("a_thousand_dumps_leave_neither", "it is done with the programs of 64 bits");
    }
    let target = machine::start(&["threads", "4"]);
    let mut dumper = machine::command("windows-dumper.exe");
    let mut dumper = Target::start_command(dumper.args(["repeat", &machine::pid(&target), "1000"]));
    let first = dumper.facts.clone();
    let held: Vec<Value> = std::iter::once(first).chain((1..10).map(|_| dumper.next_line())).collect();
    let handles: Vec<u64> = held.iter().map(|told| number(told, "next_handle")).collect();
    let memory: Vec<u64> = held.iter().map(|told| number(told, "memory")).collect();
    // Each handle is four more than the one before. A thread that ends takes its time.
    assert!(handles[9] < handles[0] + 4 * 16, "handles: {handles:?}");
    let growth = memory[9].saturating_sub(memory[1]);
    assert!(growth < 1 << 20, "memory: {memory:?}");
}
