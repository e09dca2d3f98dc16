//! Crashes that debuggers and crashing programs tell of.

use super::super::hold::Hold;
use super::super::open::{Holder, Target};
use super::super::threads::Threads;
use super::child::{CRASH, Captured};
use crate::crash::{from_debug_event, from_exception_pointers};
use crate::snapshot::{CpuState, Crash, Exception, Stage};
use crate::{DumpOptions, Error, dump_stopped};
use std::time::{Duration, Instant};
use windows_sys::Win32::System::Diagnostics::Debug::EXCEPTION_RECORD;

#[test]
fn a_debug_event_tells_code_address_and_parameters() {
    let mut record = EXCEPTION_RECORD {
        ExceptionCode: 0xc000_0005_u32.cast_signed(),
        ExceptionFlags: 1,
        ExceptionAddress: std::ptr::without_provenance_mut(0x40_1000),
        NumberParameters: 2,
        ..EXCEPTION_RECORD::default()
    };
    record.ExceptionInformation[1] = 0xdead;
    let expected =
        Exception { thread: 7, code: 0xc000_0005, flags: 1, address: 0x40_1000, parameters: vec![0, 0xdead] };
    assert_eq!(from_debug_event(7, &record), Crash { exception: expected, cpu: None });
    record.NumberParameters = u32::MAX;
    assert_eq!(from_debug_event(7, &record).exception.parameters.len(), 15);
}

#[test]
fn exception_pointers_are_read_out_of_the_process() {
    let child = Captured::start(0);
    let crash = from_exception_pointers(child.pid(), child.threads[0], child.exception_pointers).unwrap();
    let (code, parameters, rbx) = CRASH;
    let expected = Exception {
        thread: child.threads[0],
        code,
        flags: 0,
        address: 0x1234_5678,
        parameters: parameters.to_vec(),
    };
    assert_eq!(crash.exception, expected);
    let Some(CpuState::Amd64(cpu)) = &crash.cpu else { panic!("no registers") };
    assert_eq!((cpu.rip, cpu.rbx), (0x1234_5678, rbx));
    let options = DumpOptions { crash: Some(crash), ..DumpOptions::default() };
    let capture = crate::sys::capture(child.pid(), &options).unwrap();
    assert_eq!(capture.snapshot.exception, Some(expected));
    let thread = &capture.snapshot.threads[0];
    assert_eq!(Some(thread.id), capture.snapshot.blamed_thread);
    let Some(CpuState::Amd64(cpu)) = &thread.cpu else { panic!("no registers") };
    assert_eq!((cpu.rip, cpu.rbx, Some(cpu.gs_base)), (0x1234_5678, rbx, thread.thread_pointer));
}

#[test]
fn addresses_of_nothing_are_no_exception_pointers() {
    let child = Captured::start(0);
    // The last is text where addresses should be.
    for address in [0, 1, 0x1000, u64::MAX, u64::MAX - 8, 1 << 63, child.on_heap] {
        let error = from_exception_pointers(child.pid(), 1, address).unwrap_err();
        assert!(matches!(error, Error::ExceptionPointers { .. }), "{address:#x}: {error}");
    }
}

#[test]
fn a_process_that_its_debugger_holds_is_dumped_and_stays_held() {
    let child = Captured::start(2);
    let target = Target::open(child.pid(), Holder::Capture).unwrap();
    let (mut threads, mut errors) = (Threads::default(), Vec::new());
    let deadline = Instant::now() + Duration::from_secs(5);
    let hold = Hold::of(&target, &mut threads, deadline, &mut errors).unwrap();
    let mut file = Vec::new();
    let report = dump_stopped(child.pid(), &DumpOptions::default(), &mut file).unwrap();
    assert_eq!(report.threads, threads.list().len());
    // The child waits for its input, so that this pipe does not tell its name.
    assert!(report.soft_errors.iter().all(|error| error.stage == Stage::Handles), "{:?}", report.soft_errors);
    assert_eq!(report.bytes, file.len() as u64);
    assert_eq!(file[..4], *b"MDMP");
    let count = || -> Vec<u8> { child.counters.iter().map(|address| child.byte(*address)).collect() };
    let before = count();
    for _ in 0..200 {
        assert_eq!(count(), before);
    }
    drop(hold);
}
