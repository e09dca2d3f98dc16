//! Crash contexts.

use crate::dump::Dump;
use crate::target::Target;
use minidump::MinidumpException;
use minidump::system_info::{Cpu, Os};
use minidump_writer::CrashContextExt;
use minidump_writer::crash_context::raw::CrashContext;
use minidump_writer::minidump_cpu::RawContextCPU;
use minidump_writer::minidump_writer::{MinidumpWriter, MinidumpWriterConfig};
use std::io::Cursor;

/// What the crashed thread of `target` recorded, and the code around it.
fn recorded(target: &Target) -> (CrashContext, Vec<u8>) {
    let fact = target.facts("crash")[0].to_vec();
    (CrashContext::from_bytes(&bytes(&fact[1])).unwrap(), bytes(&fact[2]))
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(byte).collect()
}

fn assert_tells_of_the_crash(dump: &Dump, context: &CrashContext, code: &[u8]) {
    let exception: MinidumpException = dump.minidump.get_stream().unwrap();
    assert_eq!(exception.thread_id, context.tid.unsigned_abs());
    assert_eq!(exception.get_crash_reason(Os::Linux, Cpu::X86_64).to_string(), "SIGSEGV / SEGV_MAPERR");
    assert_eq!(exception.get_crash_address(Os::Linux, Cpu::X86_64), 0x1234);
    let record = &exception.raw.exception_record;
    assert_eq!(record.number_parameters, 5);
    assert_eq!(record.exception_information[..2], [1, 0x1234]);

    let threads = dump.threads();
    let (first, registers) = &threads[0];
    assert_eq!(*first, context.tid, "the crashed thread comes first");
    assert_eq!(threads.iter().filter(|(id, _)| *id == context.tid).count(), 1);
    let mut expected = RawContextCPU::default();
    CrashContextExt::from(context.clone()).fill_cpu_context(&mut expected);
    assert_eq!((registers.rip, registers.rsp, registers.rbp), (expected.rip, expected.rsp, expected.rbp));
    assert_eq!((registers.rbx, registers.r12, registers.r15), (expected.rbx, expected.r12, expected.r15));
    assert_eq!(registers.float_save, expected.float_save);
    // XMM15 is the last register of the FXSAVE image.
    assert_eq!(registers.float_save[400..404], 0xfedc_ba98_u32.to_le_bytes());
    assert_eq!(dump.bytes_at(registers.rip - 128, 256), Some(code.to_vec()));
    assert!(dump.bytes_at(registers.rsp, 256).is_some());
}

#[test]
fn with_a_crash_context_the_thread_is_as_it_was_when_it_crashed() {
    let target = Target::start();
    let (context, code) = recorded(&target);
    let mut writer = MinidumpWriter::new(context.pid, context.tid);
    writer.set_crash_context(CrashContextExt { inner: context.clone() });
    assert_tells_of_the_crash(&Dump::of(&mut writer), &context, &code);
}

#[test]
fn the_newer_names_do_the_same() {
    let target = Target::start();
    let (context, code) = recorded(&target);
    let mut writer = MinidumpWriterConfig::new(context.pid, context.tid);
    writer.set_crash_context(CrashContextExt { inner: context.clone() });
    let dump = writer.write(&mut Cursor::new(Vec::new())).unwrap();
    assert_tells_of_the_crash(&Dump::read(dump), &context, &code);
}

#[test]
fn without_a_blamed_thread_that_of_the_crash_context_is_blamed() {
    let target = Target::start();
    let (context, code) = recorded(&target);
    let mut writer = MinidumpWriter::new(context.pid, 0);
    writer.set_crash_context(CrashContextExt { inner: context.clone() });
    assert_tells_of_the_crash(&Dump::of(&mut writer), &context, &code);
}

#[test]
fn without_a_crash_context_the_dump_says_that_it_was_asked_for() {
    let target = Target::start();
    let thread = target.threads("referring")[0];
    let dump = Dump::of(&mut MinidumpWriter::new(target.pid(), thread.id));
    let exception: MinidumpException = dump.minidump.get_stream().unwrap();
    assert_eq!(exception.raw.exception_record.exception_code, 0xffff_ffff, "DUMP_REQUESTED");
    assert_eq!(exception.thread_id, thread.id.unsigned_abs());
    assert_eq!(dump.threads()[0].0, thread.id);
}

#[test]
fn a_crash_context_of_a_thread_that_is_gone_still_makes_a_dump() {
    let target = Target::start();
    let (mut context, _) = recorded(&target);
    // Ids are below 2^22.
    context.tid = (1 << 22) + 5;
    let mut writer = MinidumpWriter::new(context.pid, context.tid);
    writer.set_crash_context(CrashContextExt { inner: context.clone() });
    let dump = Dump::of(&mut writer);
    let exception: MinidumpException = dump.minidump.get_stream().unwrap();
    assert_eq!(exception.thread_id, context.tid.unsigned_abs());
    assert!(dump.soft_errors().contains(&context.tid.to_string()), "{}", dump.soft_errors());
}
