//! The process captures itself.

use crate::places::ARCHS;
use crate::run::{DESCRIPTOR, Program, Request, assert_equal, assert_released, system};
use crate::{expected, tasks};
use apple_emulator::Arch;
use minidump_mach::sim::SimTask;

/// `mach_task_self_` and the process id of the emulated program.
const OWN_TASK: u32 = 0x203;
const OWN_PID: i32 = 77;

fn own(arch: Arch) -> SimTask {
    tasks::builder(arch).pid(OWN_PID).called_by_thread(1).build().unwrap()
}

/// While other threads stand still, the emulator ends the run when anything is allocated or locked.
#[test]
fn the_own_process_is_captured_without_a_lock_while_its_threads_stand_still() {
    for arch in ARCHS {
        for request in [Request::CORE, Request::MINIDUMP] {
            let task = own(arch);
            let mut system = system(&task, OWN_TASK);
            assert_eq!(Program::new(arch).dump(OWN_TASK, &request, &mut system), 0);
            let (snapshot, expected) = expected::file(&own(arch), &request);
            assert_equal(&system.written[&DESCRIPTOR], &expected, "own process");
            assert_released(&system, "own process");
            assert_eq!(system.counts["_thread_suspend"], 3);
            assert_eq!(system.counts["_thread_resume"], 3);
            assert!(!system.counts.contains_key("_task_suspend"));
            assert_eq!(snapshot.threads.len(), 4);
            assert!(snapshot.threads.iter().all(|thread| thread.cpu.is_some()));
        }
    }
}
