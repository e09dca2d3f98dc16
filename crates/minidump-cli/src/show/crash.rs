//! Why a dump was taken, from its exception stream.

use super::apple::is_apple;
use super::model::{Access, Address, AppleThread, Crash, Fault, Sender};
use super::reason::reason;
use minidump::system_info::{Cpu, Os};
use minidump::{MinidumpException, MinidumpSystemInfo};
use std::collections::HashMap;

/// Exception code of a dump that somebody asked for (Breakpad, `minidump_exception_linux.h`).
const DUMP_REQUESTED: u32 = 0xffff_ffff;
/// The same by Crashpad, on Apple's systems only.
const SIMULATED: u32 = 0x4350_7378;
/// The same by Crashpad on Windows.
const WINDOWS_SIMULATED: u32 = 0x0517_a7ed;
/// `STATUS_ACCESS_VIOLATION` and `STATUS_IN_PAGE_ERROR` (ntstatus.h): their first parameter tells what was tried.
const ACCESS_VIOLATION: u32 = 0xc000_0005;
const IN_PAGE_ERROR: u32 = 0xc000_0006;
/// `si_code` of signals that a process sent with kill, sigqueue, a message queue and tgkill
/// (<asm-generic/siginfo.h>).
const SENT: [i32; 4] = [0, -1, -3, -6];
/// Number of the page fault (Intel SDM volume 3, 6.15), and bits of its error code: a write, an instruction fetch.
const PAGE_FAULT: u64 = 14;
const WRITE: u64 = 1 << 1;
const FETCH: u64 = 1 << 4;

/// The crash that `exception` tells of, or the thread that asked for the dump.
pub fn crash(
    exception: Option<&MinidumpException>,
    requesting: Option<u32>,
    system: &MinidumpSystemInfo,
) -> Crash {
    let Some(exception) = exception else {
        return Crash { thread: requesting, ..Crash::default() };
    };
    let record = &exception.raw.exception_record;
    let simulated = match record.exception_code {
        SIMULATED => is_apple(system),
        WINDOWS_SIMULATED => system.os == Os::Windows,
        _ => false,
    };
    let crashed = record.exception_code != DUMP_REQUESTED && !simulated;
    let mut crash = Crash {
        crashed,
        reason: Some(reason(&exception.raw, system.os, system.cpu)),
        address: crashed.then(|| Address(exception.get_crash_address(system.os, system.cpu))),
        thread: Some(exception.get_crashing_thread_id()),
        ..Crash::default()
    };
    if crashed && matches!(system.os, Os::Linux | Os::Android) {
        let count = usize::try_from(record.number_parameters).unwrap_or(usize::MAX);
        let parameters = record.exception_information.get(..count).unwrap_or_default();
        let code = record.exception_flags.cast_signed();
        crash.signal_code = Some(code);
        add_details(&mut crash, code, parameters, system.cpu);
    }
    if crashed && system.os == Os::Windows {
        let touched = record.exception_information.first().filter(|_| record.number_parameters > 0);
        crash.access = touched.and_then(|touched| windows_access(record.exception_code, *touched));
    }
    crash
}

/// What was tried with memory, as the first parameter of an exception of Windows tells it.
fn windows_access(code: u32, touched: u64) -> Option<Access> {
    match (code, touched) {
        (ACCESS_VIOLATION | IN_PAGE_ERROR, 0) => Some(Access::Read),
        (ACCESS_VIOLATION | IN_PAGE_ERROR, 1) => Some(Access::Write),
        // Data execution prevention.
        (ACCESS_VIOLATION | IN_PAGE_ERROR, 8) => Some(Access::Execute),
        _ => None,
    }
}

/// Adds what the processor recorded of the thread that crashed in a Mach task by touching memory.
pub fn add_access(crash: &mut Crash, system: &MinidumpSystemInfo, threads: &HashMap<u32, AppleThread>) {
    let touched = crash.reason.as_deref().is_some_and(|reason| reason.starts_with("EXC_BAD_ACCESS"));
    let thread = crash.thread.and_then(|thread| threads.get(&thread));
    if let Some(fault) = thread.and_then(|thread| thread.fault).filter(|_| touched && is_apple(system)) {
        crash.access = access(fault, system.cpu);
    }
}

/// What a fault tried. On arm64 the class in the syndrome (Arm ARM, ESR_EL1) tells data from instructions.
fn access(fault: Fault, cpu: Cpu) -> Option<Access> {
    const INSTRUCTION_ABORT: u64 = 0x20;
    const DATA_ABORT: u64 = 0x24;
    const WRITTEN: u64 = 1 << 6;
    let syndrome = fault.syndrome.0;
    match (cpu, syndrome >> 26) {
        (Cpu::Arm64, INSTRUCTION_ABORT) => Some(Access::Execute),
        (Cpu::Arm64, DATA_ABORT) if syndrome & WRITTEN != 0 => Some(Access::Write),
        (Cpu::Arm64, DATA_ABORT) => Some(Access::Read),
        (Cpu::X86_64, _) if u64::from(fault.number) == PAGE_FAULT => Some(page_fault(syndrome)),
        _ => None,
    }
}

/// What a page fault of x86 with this error code tried.
fn page_fault(error: u64) -> Access {
    match error {
        error if error & FETCH != 0 => Access::Execute,
        error if error & WRITE != 0 => Access::Write,
        _ => Access::Read,
    }
}

/// Adds what our own parameters tell (docs of `minidump_writer::crash::from_crash_context`). Those of other writers
/// do not begin with `si_code`.
fn add_details(crash: &mut Crash, code: i32, parameters: &[u64], cpu: Cpu) {
    let [first, rest @ ..] = parameters else { return };
    if *first != i64::from(code).cast_unsigned() {
        return;
    }
    match rest {
        [pid, uid, ..] if SENT.contains(&code) => {
            let ids = u32::try_from(*pid).ok().zip(u32::try_from(*uid).ok());
            crash.sender = ids.map(|(pid, uid)| Sender { pid, uid });
        }
        [_, PAGE_FAULT, error, ..] if code > 0 && matches!(cpu, Cpu::X86_64 | Cpu::X86) => {
            crash.access = Some(page_fault(*error));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(code: i32, parameters: &[u64], cpu: Cpu) -> (Option<Access>, Option<Sender>) {
        let mut crash = Crash::default();
        add_details(&mut crash, code, parameters, cpu);
        (crash.access, crash.sender)
    }

    #[test]
    fn a_page_fault_tells_what_was_tried() {
        for (error, access) in [
            (4, Access::Read),
            (5, Access::Read),
            (6, Access::Write),
            (7, Access::Write),
            (0x14, Access::Execute),
            (0x15, Access::Execute),
        ] {
            let parameters = [1, 0xdead_0000, PAGE_FAULT, error, 0xdead_0000];
            assert_eq!(details(1, &parameters, Cpu::X86_64), (Some(access), None), "{error:#x}");
        }
        let protection = [0x80, 0, 13, 0, 0];
        assert_eq!(details(0x80, &protection, Cpu::X86_64), (None, None));
        assert_eq!(details(1, &[1, 8, PAGE_FAULT, 7], Cpu::Arm64), (None, None));
    }

    #[test]
    fn an_exception_of_windows_tells_what_was_tried() {
        for (code, touched, access) in [
            (ACCESS_VIOLATION, 0, Some(Access::Read)),
            (ACCESS_VIOLATION, 1, Some(Access::Write)),
            (ACCESS_VIOLATION, 8, Some(Access::Execute)),
            (IN_PAGE_ERROR, 1, Some(Access::Write)),
            (ACCESS_VIOLATION, 2, None),
            (0xc000_0409, 0, None),
        ] {
            assert_eq!(windows_access(code, touched), access, "{code:#x} {touched}");
        }
    }

    #[test]
    fn a_sent_signal_tells_its_sender() {
        let sender = Some(Sender { pid: 4711, uid: 1000 });
        assert_eq!(details(0, &[0, 4711, 1000], Cpu::X86_64), (None, sender));
        let negative = i64::from(-6).cast_unsigned();
        assert_eq!(details(-6, &[negative, 4711, 1000], Cpu::X86_64), (None, sender));
        assert_eq!(details(-6, &[0xffff_fffa, 4711, 1000], Cpu::X86_64), (None, None));
    }

    #[test]
    fn parameters_of_another_writer_are_left_alone() {
        for parameters in [&[][..], &[7, 14, 14, 6], &[1], &[1, 2]] {
            assert_eq!(details(1, parameters, Cpu::X86_64), (None, None));
        }
        assert_eq!(details(0, &[0, u64::MAX, 0], Cpu::X86_64), (None, None));
    }
}
