use super::build::{amd64, amd64_thread, arm64_thread, windows, windows_thread, with, x86, x86_thread};
use crate::build::{encode, registers};
use minidump_formats::minidump::NATIVE_CONTEXTS_STREAM;
use minidump_snapshot::{CpuState, Snapshot, Thread, WindowsThread};

/// A 32-bit program whose threads have these second registers.
fn wow64(natives: Vec<(u32, Option<CpuState>)>) -> Snapshot {
    let threads: Vec<Thread> = natives.iter().map(|(id, _)| x86_thread(*id)).collect();
    with(windows(x86(), threads), |facts| {
        let thread = |(id, native)| WindowsThread { native, ..windows_thread(id) };
        facts.threads = natives.into_iter().map(thread).collect();
    })
}

fn registers_of(thread: Thread) -> Option<CpuState> {
    thread.cpu
}

#[test]
fn the_64_bit_registers_of_a_32_bit_program_are_in_a_stream_of_their_own() {
    let native = |id| registers_of(amd64_thread(id));
    let raw = encode(&wow64(vec![(3, native(3)), (4, None), (5, native(5))]));
    let (at, size) = raw.stream(NATIVE_CONTEXTS_STREAM);
    let header: Vec<u32> = (0..4).map(|index| raw.u32(at + 4 * index)).collect();
    assert_eq!((header, size), (vec![16, 16, 2, 0], 16 + 2 * 16));
    for (index, id) in [3, 5].into_iter().enumerate() {
        let entry = at + 16 + 16 * index;
        assert_eq!((raw.u32(entry), raw.u16(entry + 4), raw.u16(entry + 6)), (id, 9, 0));
        let (context, size) = raw.location(entry + 8);
        assert_eq!((size, context % 16), (1232, 0));
        assert_eq!(raw.u32(context + 0x30), 0x0010_000f);
        assert_eq!(raw.u64(context + 0xf8), registers(id.into()).rip);
        assert_eq!(raw.u64(context + 0x98), registers(id.into()).rsp);
    }
    let (list, _) = raw.stream(3);
    assert_eq!(raw.u32(raw.location(list + 4 + 40).0), 0x0001_003f, "the thread list has the 32-bit ones");
}

#[test]
fn on_arm64_they_are_those_of_that_processor() {
    let natives = vec![(3, registers_of(arm64_thread(3))), (4, registers_of(amd64_thread(4)))];
    let raw = encode(&wow64(natives));
    let (at, size) = raw.stream(NATIVE_CONTEXTS_STREAM);
    assert_eq!((size, raw.u16(at + 20), raw.location(at + 24).1), (32, 12, 912), "all of one processor");
    assert_eq!(raw.u32(raw.location(at + 24).0), 0x0040_0007);
}

#[test]
fn without_second_registers_there_is_no_stream() {
    assert_eq!(encode(&wow64(vec![(3, None)])).find(NATIVE_CONTEXTS_STREAM), None);
    assert_eq!(encode(&windows(amd64(), vec![amd64_thread(1)])).find(NATIVE_CONTEXTS_STREAM), None);
}
