//! A kernel that refuses, and tasks that fall apart: the library makes of them what this host does.

use crate::places::ARCHS;
use crate::run::{Request, assert_same};
use crate::tasks::{id, task};
use minidump_mach::sim::{Call, Effect, SimTask, When};
use minidump_mach::{KernReturn, ThreadPort};
use minidump_snapshot::Snapshot;

/// A call that goes wrong.
type Fault = (&'static str, Call, When, Effect);

const FAILURE: Effect = Effect::Fail(KernReturn::FAILURE);
const INVALID: Effect = Effect::Fail(KernReturn::INVALID_ARGUMENT);

/// Of a thread of the task, by its number. The simulation's ports are these.
const fn port(index: u32) -> ThreadPort {
    ThreadPort(0x1103 + index * 0x100)
}

const FAULTS: &[Fault] = &[
    ("a thread ends early", Call::ThreadState, When::Nth(1), Effect::ThreadEnds(port(1))),
    ("a thread ends", Call::ThreadInfo, When::Nth(1), Effect::ThreadEnds(port(3))),
    ("no registers", Call::ThreadState, When::Always, INVALID),
    ("short registers", Call::ThreadState, When::Always, Effect::Short(7)),
    ("no registers of one", Call::ThreadState, When::Thread(port(2)), INVALID),
    ("no names", Call::ThreadInfo, When::Flavor(5), INVALID),
    ("no ids", Call::ThreadInfo, When::Flavor(4), Effect::Fail(KernReturn::TERMINATED)),
    ("short facts", Call::ThreadInfo, When::Always, Effect::Short(3)),
    ("no image list", Call::TaskInfo, When::Flavor(17), FAILURE),
    ("a short answer about images", Call::TaskInfo, When::Flavor(17), Effect::Short(2)),
    ("no times", Call::TaskInfo, When::Flavor(3), FAILURE),
    ("a stack goes away", Call::ThreadState, When::Nth(9), Effect::Unmap(0x1_7010_0000, 0x1_7018_0000)),
    ("no memory", Call::Read, When::From(6), Effect::Fail(KernReturn::PROTECTION_FAILURE)),
    ("short reads", Call::Read, When::From(12), Effect::Short(100)),
    ("no regions", Call::Region, When::Always, Effect::Fail(KernReturn::INVALID_ADDRESS)),
    ("a region that comes again and again", Call::Region, When::From(5), Effect::Stuck),
    ("an empty region", Call::Region, When::Nth(4), Effect::Empty),
    ("short regions", Call::Region, When::From(3), Effect::Short(9)),
    ("no facts of the system", Call::Sysctl, When::Always, Effect::Fail(KernReturn(2))),
    ("no facts of the process", Call::ProcessFacts, When::Always, FAILURE),
    ("the task cannot be suspended", Call::Suspend, When::Always, FAILURE),
    ("only two threads are told", Call::Threads, When::Always, Effect::Short(2)),
    ("a thread ends when it has been read", Call::ThreadState, When::Nth(7), Effect::ThreadEnds(port(0))),
];

fn assert_same_in_spite(index: usize, about: &str, break_it: &dyn Fn(&SimTask)) -> Snapshot {
    // In turn, so that each processor and each format has its share.
    let arch = ARCHS[index % 2];
    let request = if (index / 2).is_multiple_of(2) { Request::CORE } else { Request::MINIDUMP };
    let make = || {
        let task = task(arch);
        break_it(&task);
        task
    };
    let (snapshot, file) = assert_same(arch, &make, &request, about);
    assert!(file.len() > 1000, "{about}");
    snapshot
}

#[test]
fn every_fault_leads_to_the_same_file_that_tells_of_it() {
    let mut untold = Vec::new();
    for (index, (about, call, when, effect)) in FAULTS.iter().copied().enumerate() {
        let snapshot = assert_same_in_spite(index, about, &|task| task.inject(call, when, effect));
        if snapshot.soft_errors.is_empty() {
            untold.push(about);
        }
    }
    // The rest is asked for again; nobody could know of more threads; all of the thread was read.
    assert_eq!(untold, ["short reads", "only two threads are told", "a thread ends when it has been read"]);
}

#[test]
fn a_task_that_is_resumed_at_the_second_try_runs() {
    assert_same_in_spite(0, "resume", &|task| task.inject(Call::Resume, When::Nth(1), FAILURE));
}

#[test]
fn broken_structures_of_dyld_lead_to_the_same_file() {
    assert_same_in_spite(0, "nowhere", &|task| task.set_all_image_infos(0x7777_0000, 368));
    assert_same_in_spite(3, "short", &|task| task.set_all_image_infos(task.all_image_infos(), 24));
}

#[test]
fn threads_have_the_ids_that_the_kernel_tells() {
    for arch in ARCHS {
        let (snapshot, _) = assert_same(arch, &|| task(arch), &Request::CORE, "ids");
        let ids: Vec<u64> = snapshot.threads.iter().map(|thread| thread.apple.as_ref().unwrap().id).collect();
        assert_eq!(ids, (0..4).map(id).collect::<Vec<_>>());
    }
}
