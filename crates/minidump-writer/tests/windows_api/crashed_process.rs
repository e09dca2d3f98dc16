//! Crash contexts of another process.

use crate::child::{ACCESS_VIOLATION, CRASH_R12, FAULT_ADDRESS};
use crate::dump::Dump;
use crate::target::Target;
use minidump_writer::minidump_writer::MinidumpWriter;

/// Stream of soft errors.
const SOFT_ERRORS: u32 = 0x4d7a_0004;

fn assert_tells_of_the_crash(dump: &Dump, crash: &[u64]) {
    assert_eq!(dump.exception_record(), (ACCESS_VIOLATION, vec![1, FAULT_ADDRESS]), "a write");
    let exception = dump.exception();
    assert_eq!(u64::from(exception.thread_id), crash[0]);
    assert_eq!(exception.raw.exception_record.exception_address, crash[2]);
    let registers = dump.registers();
    assert_eq!((registers.rip, registers.rsp, registers.r12), (crash[2], crash[3], CRASH_R12));
    assert!(dump.threads().contains(&exception.thread_id));
    assert!(dump.has_memory_at(registers.rsp), "the stack is there");
    assert_eq!(dump.stream(SOFT_ERRORS), None);
    assert_eq!(dump.stream(0x4767_0001), None, "no thread of the process wrote the dump");
}

#[test]
fn the_exception_is_the_one_that_the_pointers_lead_to() {
    let target = Target::start();
    let crash = target.fact("crash");
    let context = target.crash_context(crash[0], crash[1], 0x1234);
    let dump = Dump::of(|file| MinidumpWriter::dump_crash_context(context, None, file));
    assert_tells_of_the_crash(&dump, &crash);
}

#[test]
fn without_pointers_the_thread_is_shown_where_it_is_with_the_code() {
    let target = Target::start();
    let parked = target.fact("parked")[0];
    let context = target.crash_context(parked, 0, 0xc000_0409);
    let dump = Dump::of(|file| MinidumpWriter::dump_crash_context(&context, None, file));
    assert_eq!(dump.exception_record(), (0xc000_0409, vec![]));
    assert_eq!(u64::from(dump.exception().thread_id), parked);
    let registers = dump.registers();
    assert_eq!(dump.exception().raw.exception_record.exception_address, registers.rip);
    assert!(dump.has_memory_at(registers.rsp), "the stack is there");
    assert_eq!(dump.stream(SOFT_ERRORS), None);
}

#[test]
fn pointers_that_lead_nowhere_cost_themselves_alone() {
    let target = Target::start();
    let parked = target.fact("parked")[0];
    let context = target.crash_context(parked, FAULT_ADDRESS, 0xc000_0374);
    let dump = Dump::of(|file| MinidumpWriter::dump_crash_context(&context, None, file));
    assert_eq!(dump.exception_record(), (0xc000_0374, vec![]));
    assert_eq!(u64::from(dump.exception().thread_id), parked);
    let errors: serde_json::Value = serde_json::from_slice(&dump.stream(SOFT_ERRORS).unwrap()).unwrap();
    assert_eq!(errors[0]["stage"], "registers");
    assert_eq!(errors[0]["thread"], parked);
    assert_eq!(errors[0]["address"], FAULT_ADDRESS);
    let message = errors[0]["message"].as_str().unwrap();
    assert!(message.contains("the exception pointers cannot be read"), "{message}");
}

#[test]
fn more_parameters_than_there_can_be_are_cut_to_those() {
    let target = Target::start();
    let crash = target.fact("crash");
    let context = target.crash_context(crash[0], target.fact("forged")[0], 0);
    let dump = Dump::of(|file| MinidumpWriter::dump_crash_context(&context, None, file));
    assert_eq!(dump.exception_record(), (0x0bad_c0de, (0x100..0x10f).collect()));
    assert_eq!(dump.registers().r12, CRASH_R12 + 1);
}

#[test]
fn a_thread_that_is_gone_is_told_and_the_process_dumped() {
    let target = Target::start();
    let context = target.crash_context(0xffff_fff0, 0, 7);
    let dump = Dump::of(|file| MinidumpWriter::dump_crash_context(&context, None, file));
    assert!(dump.minidump.get_stream::<minidump::MinidumpException>().is_err());
    let errors = String::from_utf8(dump.stream(SOFT_ERRORS).unwrap()).unwrap();
    assert!(errors.contains("the crashed thread cannot be shown"), "{errors}");
    assert!(dump.threads().contains(&u32::try_from(target.fact("parked")[0]).unwrap()));
}
