//! Stopping the task, and letting it go.

use crate::fixture::*;
use minidump_mach::sim::{Call, Effect, When};
use minidump_mach::{CaptureError, CaptureOptions, KernReturn, capture};
use minidump_snapshot::Stage;

#[test]
fn a_task_that_somebody_else_stopped_stays_stopped() {
    let task = task();
    task.set_suspend_count(3);
    assert_usable(&captured(&task));
    assert_eq!(task.suspend_count(), 3);
}

#[test]
fn a_task_that_cannot_be_stopped_is_captured_as_it_runs() {
    let task = task();
    task.inject(Call::Suspend, When::Always, Effect::Fail(KernReturn::FAILURE));
    let captured = capture(&task, &CaptureOptions::default(), None).unwrap();
    check(&captured);
    assert_usable(&captured);
    assert_error(&captured, Stage::StopThread, "the task cannot be suspended: KERN_FAILURE");
    assert_eq!(
        (task.suspend_count(), task.calls(Call::Resume)),
        (0, 0),
        "what was not stopped is not resumed"
    );
}

#[test]
fn resuming_is_tried_again() {
    let task = task();
    task.inject(Call::Resume, When::Nth(1), Effect::Fail(KernReturn::FAILURE));
    let captured = captured(&task);
    assert_usable(&captured);
    assert_eq!(captured.snapshot.soft_errors, []);
}

#[test]
fn a_task_that_cannot_be_resumed_is_told() {
    let task = task();
    task.inject(Call::Resume, When::Always, Effect::Fail(KernReturn::FAILURE));
    let captured = capture(&task, &CaptureOptions::default(), None).unwrap();
    assert_usable(&captured);
    assert_error(&captured, Stage::StopThread, "the task could not be resumed: KERN_FAILURE");
    assert_eq!(task.calls(Call::Resume), 4, "tried a few times");
}

#[test]
fn a_task_that_ends_meanwhile_needs_no_resuming() {
    let task = task();
    task.inject(Call::Resume, When::Always, Effect::Fail(KernReturn::INVALID_DESTINATION));
    let captured = capture(&task, &CaptureOptions::default(), None).unwrap();
    assert_eq!(captured.snapshot.soft_errors, []);
    assert_eq!(task.calls(Call::Resume), 1);
}

#[test]
fn a_task_that_has_ended_cannot_be_captured() {
    let task = task();
    for call in [Call::Suspend, Call::Threads, Call::Read, Call::Region, Call::TaskInfo] {
        task.inject(call, When::Always, Effect::Fail(KernReturn::INVALID_DESTINATION));
    }
    let result = capture(&task, &CaptureOptions::default(), None);
    assert_eq!(result.unwrap_err(), CaptureError::NoTask(KernReturn::INVALID_DESTINATION));
    assert_eq!(task.suspend_count(), 0);
}

#[test]
fn everything_may_fail_at_once_but_the_task_goes_on() {
    let task = task();
    let calls = [
        Call::Read,
        Call::Region,
        Call::Threads,
        Call::TaskInfo,
        Call::Pid,
        Call::Sysctl,
        Call::ProcessFacts,
    ];
    for call in calls {
        task.inject(call, When::Always, Effect::Fail(KernReturn::FAILURE));
    }
    let captured = captured(&task);
    assert!(captured.snapshot.threads.is_empty() && captured.snapshot.modules.is_empty());
    assert!(captured.snapshot.soft_errors.len() > 8);
}

#[test]
fn whichever_call_fails_the_task_goes_on() {
    let calls =
        [Call::Read, Call::Region, Call::Threads, Call::ThreadState, Call::ThreadInfo, Call::TaskInfo];
    for call in calls {
        let count = {
            let task = task();
            captured(&task);
            task.calls(call)
        };
        for nth in 1..=count {
            for effect in
                [Effect::Fail(KernReturn::FAILURE), Effect::Short(1), Effect::Fail(KernReturn::TERMINATED)]
            {
                let task = task();
                task.inject(call, When::Nth(nth), effect);
                let captured = captured(&task);
                let listed = (call, effect) != (Call::Threads, Effect::Fail(KernReturn::TERMINATED));
                assert_eq!(!captured.snapshot.threads.is_empty(), listed, "{call:?} {nth} {effect:?}");
                assert!(!captured.snapshot.modules.is_empty(), "{call:?} {nth} {effect:?}");
            }
        }
    }
}

#[test]
fn whenever_everything_begins_to_fail_the_task_goes_on() {
    let count = {
        let task = task();
        captured(&task);
        task.calls(Call::Read)
    };
    for first in 1..=count {
        let task = task();
        task.inject(Call::Read, When::From(first), Effect::Fail(KernReturn::INVALID_ADDRESS));
        let captured = captured(&task);
        assert_registers(thread(&captured, MAIN_ID), &main_cpu());
        assert!(!captured.snapshot.soft_errors.is_empty(), "from the {first}th on");
    }
}
