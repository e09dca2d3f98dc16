use super::build::{amd64, amd64_thread, windows, x86, x86_thread};
use crate::build::encode;
use minidump::system_info::{Cpu, Os};
use minidump::{MinidumpBreakpadInfo, MinidumpException};
use minidump_snapshot::Exception;

const EXCEPTION: u32 = 6;
const BREAKPAD_INFO: u32 = 0x4767_0001;

#[test]
fn code_flags_address_and_parameters_are_those_of_windows() {
    let mut snapshot = windows(amd64(), vec![amd64_thread(7), amd64_thread(8)]);
    let parameters: Vec<u64> = (0x8000_0000_0000_0000..).take(17).collect();
    let address = 0xffff_f800_0000_1234;
    snapshot.exception = Some(Exception { thread: 7, code: 0xc000_0409, flags: 0x81, address, parameters });
    let raw = encode(&snapshot);
    let (at, size) = raw.stream(EXCEPTION);
    assert_eq!((size, raw.u32(at), raw.u32(at + 8), raw.u32(at + 12)), (168, 7, 0xc000_0409, 0x81));
    assert_eq!((raw.u64(at + 16), raw.u64(at + 24), raw.u32(at + 32)), (0, address, 15));
    let written: Vec<u64> = (0..15).map(|index| raw.u64(at + 40 + 8 * index)).collect();
    assert!(written.iter().copied().eq(0x8000_0000_0000_0000..0x8000_0000_0000_000f));
    let (context, size) = raw.location(at + 160);
    assert_eq!((size, raw.u64(context + 0xf8)), (1232, crate::build::registers(7).rip));
}

#[test]
fn readers_tell_the_address_that_was_touched() {
    for (snapshot, os_cpu) in [
        (windows(amd64(), vec![amd64_thread(7)]), Cpu::X86_64),
        (windows(x86(), vec![x86_thread(7)]), Cpu::X86),
    ] {
        let mut snapshot = snapshot;
        let parameters = vec![1, 0xdead_0008];
        snapshot.exception =
            Some(Exception { thread: 7, code: 0xc000_0005, flags: 0, address: 0x40_1000, parameters });
        let exception = encode(&snapshot).read::<MinidumpException<'_>>();
        assert_eq!(exception.get_crash_address(Os::Windows, os_cpu), 0xdead_0008);
        let reason = exception.get_crash_reason(Os::Windows, os_cpu).to_string();
        assert_eq!(reason, "EXCEPTION_ACCESS_VIOLATION_WRITE");
        assert_eq!(exception.get_crashing_thread_id(), 7);
    }
}

#[test]
fn a_dump_that_nobody_crashed_for_has_no_exception_and_tells_its_thread() {
    let mut snapshot = windows(amd64(), vec![amd64_thread(7), amd64_thread(8)]);
    snapshot.blamed_thread = Some(7);
    let raw = encode(&snapshot);
    assert_eq!(raw.find(EXCEPTION), None);
    assert_eq!(raw.read::<MinidumpBreakpadInfo>().requesting_thread_id, Some(7));
    snapshot.blamed_thread = None;
    let raw = encode(&snapshot);
    assert_eq!((raw.find(EXCEPTION), raw.find(BREAKPAD_INFO)), (None, None));
}
