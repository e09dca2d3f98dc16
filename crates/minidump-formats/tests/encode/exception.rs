use crate::build::{empty, encode, registers, thread};
use minidump::{CrashReason, MinidumpException, MinidumpMiscInfo, MinidumpSystemInfo};
use minidump_snapshot::{Exception, Snapshot};

const EXCEPTION: u32 = 6;

fn two_threads() -> Snapshot {
    let mut snapshot = empty();
    snapshot.threads = vec![thread(7, registers(7)), thread(9, registers(9))];
    snapshot
}

#[test]
fn a_crash_keeps_code_flags_address_and_parameters() {
    let mut snapshot = two_threads();
    snapshot.blamed_thread = Some(7);
    snapshot.exception = Some(Exception {
        thread: 9,
        code: 11,
        flags: 2,
        address: 0xdead_0000_beef,
        parameters: vec![0xaaaa, u64::MAX],
    });
    let raw = encode(&snapshot);
    let exception = raw.read::<MinidumpException<'_>>();
    assert_eq!(exception.get_crashing_thread_id(), 9);
    let record = &exception.raw.exception_record;
    assert_eq!((record.exception_code, record.exception_flags), (11, 2));
    assert_eq!(record.exception_address, 0xdead_0000_beef);
    assert_eq!(record.number_parameters, 2);
    assert_eq!(record.exception_information[..3], [0xaaaa, u64::MAX, 0]);
    let system = raw.read::<MinidumpSystemInfo>();
    let misc = raw.read::<MinidumpMiscInfo>();
    let context = exception.context(&system, Some(&misc)).unwrap();
    assert_eq!(context.get_instruction_pointer(), registers(9).rip);
    let reason = exception.get_crash_reason(system.os, system.cpu);
    assert_eq!(reason.to_string(), "SIGSEGV / SEGV_ACCERR");
}

#[test]
fn the_stream_is_168_bytes_in_microsofts_layout() {
    let mut snapshot = two_threads();
    snapshot.exception =
        Some(Exception { thread: 7, code: 4, flags: 1, address: 0x1234, parameters: (0..20).collect() });
    let raw = encode(&snapshot);
    let (stream, size) = raw.stream(EXCEPTION);
    assert_eq!(size, 168);
    assert_eq!((raw.u32(stream), raw.u32(stream + 4)), (7, 0));
    assert_eq!((raw.u32(stream + 8), raw.u32(stream + 12), raw.u64(stream + 16)), (4, 1, 0));
    assert_eq!((raw.u64(stream + 24), raw.u32(stream + 32)), (0x1234, 15));
    for index in 0..15 {
        assert_eq!(raw.u64(stream + 40 + 8 * index), index as u64);
    }
    let (context, context_size) = raw.location(stream + 160);
    assert_eq!(context_size, 1232);
    assert_eq!(context % 16, 0);
    assert_eq!(raw.u64(context + 248), registers(7).rip);
}

#[test]
fn without_a_crash_the_blamed_thread_is_named_as_dump_requested() {
    let mut snapshot = two_threads();
    snapshot.blamed_thread = Some(9);
    let raw = encode(&snapshot);
    let exception = raw.read::<MinidumpException<'_>>();
    assert_eq!(exception.get_crashing_thread_id(), 9);
    assert_eq!(exception.raw.exception_record.exception_code, 0xffff_ffff);
    assert_eq!(exception.raw.exception_record.exception_address, registers(9).rip);
    let system = raw.read::<MinidumpSystemInfo>();
    let reason = exception.get_crash_reason(system.os, system.cpu);
    assert!(matches!(reason, CrashReason::LinuxGeneral(..)), "{reason:?}");
    assert!(reason.to_string().contains("DUMP_REQUESTED"), "{reason}");
}

#[test]
fn with_nobody_to_blame_the_first_thread_is_named() {
    let raw = encode(&two_threads());
    assert_eq!(raw.read::<MinidumpException<'_>>().get_crashing_thread_id(), 7);
}

#[test]
fn a_crashed_thread_that_is_gone_keeps_its_exception_without_registers() {
    let mut snapshot = two_threads();
    snapshot.exception = Some(Exception { thread: 77, code: 6, flags: 0, address: 5, parameters: vec![] });
    let raw = encode(&snapshot);
    let (stream, _) = raw.stream(EXCEPTION);
    assert_eq!((raw.u32(stream), raw.u32(stream + 8), raw.u64(stream + 24)), (77, 6, 5));
    assert_eq!(raw.location(stream + 160), (0, 0));
}
