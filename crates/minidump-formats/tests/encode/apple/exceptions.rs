use super::build::{arm64_thread, exception, intel, intel_thread, mac};
use crate::build::encode;
use minidump::{MinidumpBreakpadInfo, MinidumpException, MinidumpSystemInfo};
use minidump_snapshot::{Cpu, Exception};

const BREAKPAD_INFO: u32 = 0x4767_0001;

/// The reason that readers show for `exception` of thread 1.
fn reason(cpu: Cpu, exception: Exception) -> String {
    let thread = if cpu == Cpu::Arm64 { arm64_thread(1) } else { intel_thread(1) };
    let mut snapshot = mac(cpu, vec![thread]);
    snapshot.blamed_thread = Some(1);
    snapshot.exception = Some(exception);
    let raw = encode(&snapshot);
    let system = raw.read::<MinidumpSystemInfo>();
    raw.read::<MinidumpException<'_>>().get_crash_reason(system.os, system.cpu).to_string()
}

#[test]
fn readers_name_the_reasons_of_arm64() {
    let named =
        |code, flags, parameters: &[u64]| reason(Cpu::Arm64, exception(code, flags, 0x10, parameters));
    assert_eq!(named(1, 1, &[1, 1, 0x10]), "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS");
    assert_eq!(named(1, 2, &[10, 0x0a10_0002, 1]), "EXC_BAD_ACCESS / KERN_PROTECTION_FAILURE");
    assert_eq!(named(1, 0x101, &[1, 0x101, 0x11]), "EXC_BAD_ACCESS / EXC_ARM_DA_ALIGN");
    assert_eq!(named(2, 1, &[2, 1, 0]), "EXC_BAD_INSTRUCTION / EXC_ARM_UNDEFINED");
    assert_eq!(named(5, 0x1_0002, &[10, 0x0600_0000, 0]), "EXC_SOFTWARE / SIGABRT");
    assert_eq!(named(6, 1, &[6, 1, 0]), "EXC_BREAKPOINT / EXC_ARM_BREAKPOINT");
}

#[test]
fn readers_name_the_reasons_of_intel() {
    let named = |code, flags, parameters: &[u64]| reason(intel(), exception(code, flags, 0x10, parameters));
    assert_eq!(named(1, 1, &[1, 1, 0x10]), "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS");
    assert_eq!(named(1, 13, &[1, 13, 0]), "EXC_BAD_ACCESS / EXC_I386_GPFLT");
    assert_eq!(named(2, 1, &[2, 1, 0]), "EXC_BAD_INSTRUCTION / EXC_I386_INVOP");
    assert_eq!(named(3, 1, &[3, 1, 0]), "EXC_ARITHMETIC / EXC_I386_DIV");
    assert_eq!(named(6, 2, &[6, 2, 0]), "EXC_BREAKPOINT / EXC_I386_BPT");
}

#[test]
fn a_crash_that_was_not_unwrapped_is_what_it_wraps() {
    let of_crash = |code: u64| reason(Cpu::Arm64, exception(10, 0, 0x10, &[10, code, 1]));
    assert_eq!(of_crash(0x0b10_0001), "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS");
    assert_eq!(of_crash(0x0600_0000), "EXC_SOFTWARE / SIGABRT");
    assert_eq!(of_crash(0x0f00_0000), "EXC_SOFTWARE / 0x00010003");
}

#[test]
fn resource_and_guard_are_decoded() {
    // Type 1 is the processor, flavor 1 its monitor; 50 % allowed, 61 % seen.
    let cpu: u64 = 1 << 61 | 1 << 58 | 0x32 << 7 | 0x3d;
    let shown = reason(Cpu::Arm64, exception(11, 0x193d, 0, &[11, cpu, 0]));
    assert!(shown.starts_with("EXC_RESOURCE / RESOURCE_TYPE_CPU / FLAVOR_CPU_MONITOR"), "{shown}");
    // Type 2 is a file descriptor, flavor 1 to close it, target 5.
    let fd: u64 = 2 << 61 | 1 << 32 | 5;
    let shown = reason(Cpu::Arm64, exception(12, 5, 0, &[12, fd, 0x1234]));
    assert!(shown.starts_with("EXC_GUARD / GUARD_TYPE_FD / GUARD_EXC_CLOSE"), "{shown}");
}

#[test]
fn the_record_keeps_type_and_codes_as_the_kernel_gave_them() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    snapshot.exception = Some(exception(1, 1, 0xdead_beef_0010, &[10, 0x0b10_0001, 1]));
    let record = encode(&snapshot).read::<MinidumpException<'_>>().raw.exception_record.clone();
    assert_eq!((record.exception_code, record.exception_flags), (1, 1));
    assert_eq!(record.exception_address, 0xdead_beef_0010);
    assert_eq!(record.number_parameters, 3);
    assert_eq!(record.exception_information[..4], [10, 0x0b10_0001, 1, 0]);
}

#[test]
fn breakpads_stream_names_the_thread_that_crashed() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1), arm64_thread(2)]);
    assert_eq!(encode(&snapshot).find(BREAKPAD_INFO), None, "nobody is to blame");
    snapshot.blamed_thread = Some(2);
    let raw = encode(&snapshot);
    let info = raw.read::<MinidumpBreakpadInfo>();
    assert_eq!((info.dump_thread_id, info.requesting_thread_id), (None, Some(2)));
    assert_eq!(raw.stream(BREAKPAD_INFO).1, 12);
    snapshot.exception = Some(exception(1, 1, 0, &[]));
    let info = encode(&snapshot).read::<MinidumpBreakpadInfo>();
    assert_eq!(info.requesting_thread_id, Some(1));
}

#[test]
fn a_dump_that_nobody_crashed_for_says_so() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    snapshot.blamed_thread = Some(1);
    let record = encode(&snapshot).read::<MinidumpException<'_>>().raw.exception_record.clone();
    assert_eq!((record.exception_code, record.exception_flags), (0xffff_ffff, 0));
}
