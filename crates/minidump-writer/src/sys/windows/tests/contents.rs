//! What a capture has of a process.

use super::child::{Captured, IN_REGISTERS, ON_HEAP, ON_STACK, SECRET};
use crate::snapshot::{
    Cpu, CpuState, MemoryMode, MemorySource, Purpose, ReadEnd, ReadOutcome, SoftError, Stage, XsaveComponent,
};
use crate::sys::{Capture, capture};
use crate::{DumpOptions, Error};
use std::time::Duration;

fn captured(child: &Captured, options: &DumpOptions) -> Capture {
    capture(child.pid(), options).unwrap()
}

fn bytes<const N: usize>(capture: &Capture, address: u64) -> [u8; N] {
    let mut bytes = [0; N];
    let outcome = capture.memory.read(address, &mut bytes);
    assert_eq!(outcome.done, N, "at {address:#x}");
    bytes
}

#[test]
fn threads_have_their_registers_and_stacks() {
    let child = Captured::start(4);
    let capture = captured(&child, &DumpOptions::default());
    let ids: Vec<u32> = capture.snapshot.threads.iter().map(|thread| thread.id).collect();
    assert!(child.threads.iter().all(|id| ids.contains(id)), "{:?} {ids:?}", child.threads);
    for (id, address) in child.threads.iter().zip(&child.on_stack) {
        assert_eq!(bytes(&capture, *address), ON_STACK, "thread {id}");
        let stack = capture.plan.stack_of(*id).unwrap();
        let end = stack.start + stack.size;
        assert!((stack.start..end).contains(address), "thread {id}");
        // `NT_TIB::StackBase` (winnt.h): what lies behind is no stack.
        let thread = capture.snapshot.threads.iter().find(|thread| thread.id == *id).unwrap();
        let base = u64::from_le_bytes(bytes(&capture, thread.thread_pointer.unwrap() + 8));
        assert_eq!(end, base, "thread {id}");
    }
    for id in &child.threads[1..] {
        let thread = capture.snapshot.threads.iter().find(|thread| thread.id == *id).unwrap();
        let Some(CpuState::Amd64(cpu)) = &thread.cpu else { panic!("no registers of {id}") };
        let known = [cpu.r12, cpu.r13, cpu.r14, cpu.r15].map(|value| value - IN_REGISTERS);
        assert_eq!(known, [1, 2, 3, 4], "thread {id}");
        let xmm7 = &cpu.fxsave().unwrap()[160 + 7 * 16..][..8];
        assert_eq!(xmm7, (IN_REGISTERS + 1).to_le_bytes(), "thread {id}");
        assert_eq!(Some(cpu.gs_base), thread.thread_pointer);
        if std::arch::is_x86_feature_detected!("avx") {
            let avx = avx(&capture);
            assert_eq!(cpu.xstate_bv().unwrap() & 4, 4);
            let ymm7 = &cpu.xsave[avx.offset as usize + 7 * 16..][..8];
            assert_eq!(ymm7, (IN_REGISTERS + 1).to_le_bytes(), "upper half, thread {id}");
        }
        // The loop that the thread is in.
        let code: [u8; 2] = bytes(&capture, cpu.rip);
        assert_ne!(code, [0, 0]);
        assert_ne!(capture.snapshot.module_at(cpu.rip), None);
    }
    assert_eq!(errors(&capture), [""; 0]);
}

/// Where the upper halves of the YMM registers are.
fn avx(capture: &Capture) -> XsaveComponent {
    let Cpu::Amd64 { xsave, .. } = &capture.snapshot.system.cpu else { panic!("not x86-64") };
    *xsave.iter().find(|component| component.index == 2).unwrap()
}

#[test]
fn modules_have_what_their_headers_tell_and_the_structures_are_in_the_dump() {
    let child = Captured::start(1);
    let capture = captured(&child, &DumpOptions::default());
    let main = capture.snapshot.modules.iter().find(|module| module.is_main).unwrap();
    let path = String::from_utf8_lossy(&main.path).to_lowercase();
    let own = std::env::current_exe().unwrap().to_string_lossy().to_lowercase();
    assert_eq!(path, own.trim_start_matches(r"\\?\"));
    let names: Vec<String> = (capture.snapshot.modules.iter())
        .map(|module| String::from_utf8_lossy(&module.path).to_lowercase())
        .collect();
    assert!(names.iter().any(|name| name.ends_with(r"\ntdll.dll")), "{names:?}");
    let windows = capture.snapshot.windows.as_ref().unwrap();
    let image = windows.image_at(main.base).unwrap();
    let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let headers = u32::from_le_bytes(file[0x3c..0x40].try_into().unwrap()) as usize;
    let stamp = u32::from_le_bytes(file[headers + 8..headers + 12].try_into().unwrap());
    assert_eq!(image.time_stamp, stamp);
    // The 64-bit PEB tells where the program is, at 0x10 (winternl.h).
    let peb = windows.peb.unwrap();
    assert_eq!(u64::from_le_bytes(bytes(&capture, peb + 0x10)), main.base);
    let flag: [u8; 1] = bytes(&capture, peb + 2);
    assert_eq!(flag, [0], "only the dumper debugs it");
    let environment = windows.environment.as_ref().unwrap();
    let text = String::from_utf16_lossy(&environment.text);
    assert!(text.contains(&format!("{}={}\0", SECRET.0, SECRET.1)), "{text}");
}

#[test]
fn the_whole_address_space_is_told_and_files_have_names() {
    let child = Captured::start(0);
    let capture = captured(&child, &DumpOptions::default());
    let regions = &capture.snapshot.windows.as_ref().unwrap().regions;
    assert!(regions.windows(2).all(|pair| pair[0].base + pair[0].size == pair[1].base));
    assert_eq!(regions[0].base, 0);
    let main = capture.snapshot.modules.iter().find(|module| module.is_main).unwrap();
    let region = capture.snapshot.region_at(main.base).unwrap();
    let name = String::from_utf8_lossy(&region.name).into_owned();
    let file = std::env::current_exe().unwrap();
    let file = file.file_name().unwrap().to_str().unwrap();
    // Windows has `\Device\HarddiskVolume1` in place of the drive, Wine `\??\C:`.
    assert!(name.starts_with('\\') && name.ends_with(file), "{name}");
}

/// What is missing. Not of its handles: the child waits for its input, so that this pipe does not tell its name.
fn errors(capture: &Capture) -> Vec<String> {
    let others = capture.snapshot.soft_errors.iter().filter(|error| error.stage != Stage::Handles);
    others.map(SoftError::to_string).collect()
}

#[test]
fn the_process_goes_on_and_was_not_suspended_for_good() {
    let mut child = Captured::start(2);
    for _ in 0..5 {
        let before = child.counts();
        captured(&child, &DumpOptions::default()).finish();
        loop {
            let now = child.counts();
            if now.iter().zip(&before).all(|(now, before)| now > before) {
                break;
            }
        }
    }
}

#[test]
fn memory_of_the_application_is_there() {
    let child = Captured::start(0);
    let mut options = DumpOptions::default();
    options.memory.application = vec![(child.on_heap, 32)];
    let capture = captured(&child, &options);
    assert_eq!(bytes(&capture, child.on_heap), ON_HEAP);
    assert!(capture.plan.ranges().iter().any(|range| range.purpose == Purpose::Application));
}

#[test]
fn what_is_no_process_is_refused() {
    let own = crate::Pid::try_from(std::process::id()).unwrap();
    let options = DumpOptions::default();
    assert!(matches!(capture(own, &options), Err(Error::OwnProcess { pid }) if pid == own));
    for pid in [0, -1, crate::Pid::MIN] {
        assert!(matches!(capture(pid, &options), Err(Error::InvalidPid { .. })));
    }
    let mut child = Captured::start(0);
    let pid = child.pid();
    child.process.kill().unwrap();
    child.process.wait().unwrap();
    // Its handle is still open here, so that its id is still taken.
    assert!(matches!(capture(pid, &options), Err(Error::TargetGone { .. } | Error::NoSuchProcess { .. })));
}

fn full(options: DumpOptions) -> DumpOptions {
    let mut options = options;
    options.memory.mode = MemoryMode::Full;
    options
}

#[test]
fn all_memory_is_read_while_the_process_stands_still() {
    let mut child = Captured::start(2);
    let capture = captured(&child, &full(DumpOptions::default()));
    assert!(!capture.is_complete());
    assert_eq!(bytes(&capture, child.on_heap), ON_HEAP);
    assert!(capture.plan.total() > 1 << 20);
    let count = |index: usize| -> [u8; 8] { bytes(&capture, child.counters[index]) };
    let before = [count(0), count(1)];
    for _ in 0..50 {
        assert_eq!([count(0), count(1)], before);
    }
    let peb = capture.snapshot.windows.as_ref().unwrap().peb.unwrap();
    assert_eq!(bytes(&capture, peb + 2), [0_u8], "only the dumper debugs it");
    assert!(capture.finish() > Duration::ZERO);
    child.assert_runs();
}

#[test]
fn a_process_is_let_go_when_the_limit_of_its_hold_is_reached() {
    let mut child = Captured::start(1);
    let options = full(DumpOptions { hold_limit: Duration::ZERO, ..DumpOptions::default() });
    let capture = captured(&child, &options);
    // Nobody reads, and nobody finishes.
    child.assert_runs();
    let mut byte = [0];
    let outcome = capture.memory.read(child.on_heap, &mut byte);
    assert_eq!(outcome, ReadOutcome { done: 0, end: ReadEnd::Gone });
    let note = capture.memory.holes_note(1, 4096).unwrap().to_string();
    assert!(note.contains("had to be let go"), "{note}");
}

#[test]
fn a_capture_that_is_given_up_lets_the_process_go() {
    let mut child = Captured::start(1);
    drop(captured(&child, &full(DumpOptions::default())));
    child.assert_runs();
}

#[test]
fn a_copy_on_write_dump_reads_a_clone_or_says_why_there_is_none() {
    let mut child = Captured::start(1);
    let options = full(DumpOptions { copy_on_write: true, ..DumpOptions::default() });
    match capture(child.pid(), &options) {
        // Windows; Wine has no clones.
        Ok(capture) => {
            assert_eq!(bytes(&capture, child.on_heap), ON_HEAP);
            child.assert_runs();
        }
        Err(error) => assert!(matches!(error, Error::CopyRefused { .. }), "{error}"),
    }
    child.assert_runs();
}

#[test]
fn facts_of_the_machine_the_token_and_the_handles_are_there() {
    let child = Captured::start(0);
    let capture = captured(&child, &DumpOptions::default());
    let windows = capture.snapshot.windows.as_ref().unwrap();
    assert!(windows.processor.is_some() && windows.time_zone.is_some());
    assert!(windows.integrity_level.is_some());
    assert!(windows.handles.iter().any(|handle| handle.type_name == "Thread"), "{:?}", windows.handles);
}
