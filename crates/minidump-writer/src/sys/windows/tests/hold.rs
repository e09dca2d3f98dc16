//! What a capture leaves behind, however it ends.
#![expect(unsafe_code, reason = "calls of the system")]

use super::super::hold::Hold;
use super::super::open::{Holder, Target};
use super::super::registers::Readers;
use super::super::threads::{ThreadHandle, Threads};
use super::super::{ntdll, process};
use super::child::Captured;
use crate::snapshot::SoftError;
use crate::sys::{Session, capture};
use crate::{DumpOptions, Error};
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessHandleCount, ResumeThread, SuspendThread,
};

/// Tells the program that it is to hold the process of this id until it is killed.
const ROLE: &str = "MINIDUMP_WRITER_TEST_HOLDER";

fn hold(child: &Captured) -> (Target, Hold, Threads, Vec<SoftError>) {
    let target = Target::open(child.pid(), Holder::Capture).unwrap();
    let (mut threads, mut errors) = (Threads::default(), Vec::new());
    let deadline = Instant::now() + Duration::from_secs(5);
    let hold = Hold::of(&target, &mut threads, deadline, &mut errors).unwrap();
    (target, hold, threads, errors)
}

/// How often each thread of the child is suspended, as suspending tells.
fn suspend_counts(child: &Captured) -> Vec<u32> {
    let target = Target::open(child.pid(), Holder::Capture).unwrap();
    let mut threads = Threads::default();
    threads.find_new(target.handle(), target.id, true).unwrap();
    let own = |thread: &&ThreadHandle| child.threads.contains(&thread.id);
    let counts = threads.list().iter().filter(own).map(|thread| {
        // SAFETY: the handle is open; what one call does the other undoes.
        unsafe {
            let count = SuspendThread(thread.handle.as_raw_handle());
            ResumeThread(thread.handle.as_raw_handle());
            count
        }
    });
    counts.collect()
}

fn being_debugged(child: &Captured) -> u8 {
    let target = Target::open(child.pid(), Holder::Capture).unwrap();
    let peb = process::ProcessFacts::of(&target).peb.unwrap();
    child.byte(peb + 2)
}

#[test]
fn threads_stand_still_while_they_are_held_and_go_on_afterwards() {
    let mut child = Captured::start(3);
    assert_eq!(suspend_counts(&child), [0; 4]);
    let (_target, hold, threads, errors) = hold(&child);
    assert_eq!(errors, []);
    assert!(child.threads.iter().all(|id| threads.list().iter().any(|thread| thread.id == *id)));
    let read = || -> Vec<[u8; 8]> {
        let counters = child.counters.iter();
        counters.map(|address| std::array::from_fn(|index| child.byte(address + index as u64))).collect()
    };
    // Once its registers are told, a thread has come to stand.
    let readers = Readers::ready().unwrap();
    let registers = readers.read(threads.list(), false, Instant::now() + Duration::from_secs(5));
    assert!(registers.iter().all(|registers| registers.cpu.is_ok()));
    let before = read();
    for _ in 0..200 {
        assert_eq!(read(), before);
    }
    drop(hold);
    assert_eq!(suspend_counts(&child), [0; 4]);
    child.assert_runs();
}

#[test]
fn a_held_process_does_not_think_that_it_is_debugged_afterwards() {
    let child = Captured::start(1);
    assert_eq!(being_debugged(&child), 0);
    capture(child.pid(), &DumpOptions::default()).unwrap().finish();
    assert_eq!(being_debugged(&child), 0);
    assert_eq!(suspend_counts(&child), [0; 2]);
}

#[test]
fn a_process_that_has_a_debugger_is_held_thread_by_thread() {
    let mut child = Captured::start(2);
    let (target, first, ..) = hold(&child);
    let capture = capture(child.pid(), &DumpOptions::default()).unwrap();
    let errors: Vec<String> = capture.snapshot.soft_errors.iter().map(SoftError::to_string).collect();
    assert!(errors.iter().any(|error| error.contains("suspended one by one")), "{errors:?}");
    let known: Vec<u32> = capture.snapshot.threads.iter().map(|thread| thread.id).collect();
    assert!(child.threads.iter().all(|id| known.contains(id)));
    assert!(capture.snapshot.threads.iter().all(|thread| thread.cpu.is_some()));
    drop((first, target));
    assert_eq!(suspend_counts(&child), [0; 3]);
    child.assert_runs();
}

#[test]
fn threads_that_were_suspended_before_stay_so_and_are_told() {
    let child = Captured::start(1);
    let target = Target::open(child.pid(), Holder::Capture).unwrap();
    let mut threads = Threads::default();
    threads.find_new(target.handle(), target.id, true).unwrap();
    let thread = threads.list().iter().find(|thread| thread.id == child.threads[1]).unwrap();
    // SAFETY: the handle is open.
    assert_eq!(unsafe { SuspendThread(thread.handle.as_raw_handle()) }, 0);
    let capture = capture(child.pid(), &DumpOptions::default()).unwrap();
    let facts = capture.snapshot.windows.as_ref().unwrap().thread(thread.id).unwrap();
    assert_eq!(facts.suspend_count, 1);
    capture.finish();
    // SAFETY: as above.
    assert_eq!(unsafe { ResumeThread(thread.handle.as_raw_handle()) }, 1);
    assert_eq!(suspend_counts(&child), [0; 2]);
}

#[test]
fn a_dumper_that_is_killed_lets_go() {
    let mut child = Captured::start(2);
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sys::platform::tests::hold::role", "--nocapture", "--test-threads=1"])
        .env(ROLE, child.pid().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(holder.stdout.take().unwrap());
    let told = std::io::BufRead::lines(output).map_while(Result::ok).any(|line| line.contains("holding"));
    assert!(told);
    holder.kill().unwrap();
    holder.wait().unwrap();
    child.assert_runs();
    assert_eq!(suspend_counts(&child), [0; 3]);
    assert_eq!(being_debugged(&child), 0);
}

/// Holds the process that the environment names, and waits to be killed.
#[test]
fn role() {
    let Ok(pid) = std::env::var(ROLE) else { return };
    let target = Target::open(pid.parse().unwrap(), Holder::Capture).unwrap();
    let (mut threads, mut errors) = (Threads::default(), Vec::new());
    let deadline = Instant::now() + Duration::from_secs(5);
    let hold = Hold::of(&target, &mut threads, deadline, &mut errors).unwrap();
    assert_eq!(errors, []);
    println!("holding");
    // Nobody writes to it.
    let _ = std::io::stdin().read_line(&mut String::new());
    drop(hold);
}

#[test]
fn no_handles_remain_of_many_captures() {
    let child = Captured::start(2);
    let mut session = Session::open(child.pid()).unwrap();
    let mut counts = Vec::new();
    for _ in 0..12 {
        let capture = session.capture(&DumpOptions::default()).unwrap();
        capture.finish_into(&mut session);
        let mut count = 0;
        // SAFETY: the pointer is to a variable of the type that the call writes.
        assert_ne!(unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut count) }, 0);
        counts.push(count);
    }
    // Other tests run at the same time; what leaked would be several in each capture.
    let (first, last) = (counts[..6].iter().min().unwrap(), counts[6..].iter().min().unwrap());
    assert!(*last < first + 6, "{counts:?}");
}

#[test]
fn a_session_with_a_process_that_ended_says_so() {
    let mut child = Captured::start(0);
    let mut session = Session::open(child.pid()).unwrap();
    child.process.kill().unwrap();
    child.process.wait().unwrap();
    let error = session.capture(&DumpOptions::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::TargetGone { .. }), "{error}");
}

#[test]
fn the_debug_object_can_be_had_only_once() {
    let child = Captured::start(0);
    let (target, hold, ..) = hold(&child);
    let object = ntdll::create_debug_object().unwrap();
    let debugged = target.to_debug().unwrap();
    assert!(ntdll::debug_active_process(debugged.as_handle(), object.as_handle()).is_err());
    drop(hold);
    ntdll::debug_active_process(debugged.as_handle(), object.as_handle()).unwrap();
    ntdll::remove_process_debug(debugged.as_handle(), object.as_handle()).unwrap();
}
