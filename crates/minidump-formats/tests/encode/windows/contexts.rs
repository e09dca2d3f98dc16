use super::build::{amd64, amd64_thread, arm64_thread, windows, x86, x86_registers, x86_thread};
use crate::build::{encode, registers};
use crate::raw::Raw;
use minidump::{MinidumpException, MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadList, system_info};
use minidump_formats::minidump::XSAVE_LIST_STREAM;
use minidump_snapshot::{Cpu, CpuState, Exception, Thread};

/// Offset and size of the context of the thread number `index`.
fn context(raw: &Raw, index: usize) -> (usize, usize) {
    let (list, _) = raw.stream(3);
    raw.location(list + 4 + 48 * index + 40)
}

#[test]
fn every_register_of_x86_lies_where_winnt_has_it() {
    let raw = encode(&windows(x86(), vec![x86_thread(5), x86_thread(6)]));
    let (at, size) = context(&raw, 0);
    assert_eq!((size, at % 16, context(&raw, 1).0), (716, 0, at + 720));
    let state = x86_registers(5);
    assert_eq!(raw.u32(at), 0x0001_003f);
    let debug: Vec<u32> = (0..6).map(|index| raw.u32(at + 4 + 4 * index)).collect();
    assert_eq!(debug, [0xd0, 0xd1, 0xd2, 0xd3, 0xffff_0ff0, 0x401]);
    assert_eq!(raw.slice((at + 0x1c, 108)), state.fsave, "FloatSave");
    assert_eq!(raw.u32(at + 0x88), 0, "Spare0");
    let words: Vec<u32> = (0..16).map(|index| raw.u32(at + 0x8c + 4 * index)).collect();
    let segments = [state.gs, state.fs, state.es, state.ds].map(u32::from);
    let general = [state.edi, state.esi, state.ebx, state.edx, state.ecx, state.eax, state.ebp, state.eip];
    let control = [state.cs.into(), state.eflags, state.esp, state.ss.into()];
    assert_eq!(words, [segments.as_slice(), &general, &control].concat());
    assert_eq!(raw.slice((at + 0xcc, 512)), &state.xsave[..512], "ExtendedRegisters");
}

#[test]
fn what_was_not_read_of_x86_is_not_claimed() {
    let mut thread = x86_thread(5);
    let Some(CpuState::X86(state)) = &mut thread.cpu else { panic!() };
    state.fsave.clear();
    state.xsave.clear();
    state.debug = None;
    let raw = encode(&windows(x86(), vec![thread]));
    let (at, size) = context(&raw, 0);
    assert_eq!((raw.u32(at), size), (0x0001_0007, 716));
    assert_eq!(raw.slice((at + 4, 24 + 112)), [0; 136]);
    assert_eq!(raw.slice((at + 0xcc, 512)), [0; 512]);
    assert_eq!(raw.find(XSAVE_LIST_STREAM), None);
}

#[test]
fn readers_understand_x86() {
    let mut snapshot = windows(x86(), vec![x86_thread(5), Thread::new(6)]);
    snapshot.exception = Some(Exception {
        thread: 5,
        code: 0xc000_0005,
        flags: 0,
        address: 0x40_1000,
        parameters: vec![1, 8],
    });
    let raw = encode(&snapshot);
    let system = raw.read::<MinidumpSystemInfo>();
    assert_eq!((system.os, system.cpu), (system_info::Os::Windows, system_info::Cpu::X86));
    let threads = raw.read::<MinidumpThreadList<'_>>();
    let found = threads.get_thread(5).unwrap().context(&system, None).unwrap().into_owned();
    let MinidumpRawContext::X86(read) = &found.raw else { panic!("{found:?}") };
    let state = x86_registers(5);
    assert_eq!((read.eip, read.esp, read.ebp, read.eax), (state.eip, state.esp, state.ebp, state.eax));
    assert_eq!(read.float_save.register_area[..], state.fsave[28..]);
    assert!(threads.get_thread(6).unwrap().context(&system, None).is_none());
    let of_exception = raw.read::<MinidumpException<'_>>().context(&system, None).unwrap().into_owned();
    assert_eq!(of_exception.get_instruction_pointer(), u64::from(state.eip));
}

#[test]
fn extended_state_of_x86_is_in_the_xsave_stream() {
    let raw = encode(&windows(x86(), vec![x86_thread(5)]));
    let (stream, _) = raw.stream(XSAVE_LIST_STREAM);
    assert_eq!((raw.u32(stream + 8), raw.u32(stream + 16)), (1, 5));
    assert_eq!(raw.slice(raw.location(stream + 24)), x86_registers(5).xsave);
}

#[test]
fn pointers_of_an_x86_thread_make_a_context_of_the_control_registers() {
    let mut thread = Thread::new(5);
    thread.fallback_sp_ip = Some((0x19_f000, 0x7700_1234));
    let mut wide = Thread::new(6);
    wide.fallback_sp_ip = Some((0x1_0000_0000, 0x7700_1234));
    let raw = encode(&windows(x86(), vec![thread, wide]));
    let (at, size) = context(&raw, 0);
    assert_eq!((raw.u32(at), size), (0x0001_0001, 716));
    assert_eq!((raw.u32(at + 0xb8), raw.u32(at + 0xc4)), (0x7700_1234, 0x19_f000));
    assert_eq!(context(&raw, 1), (0, 0), "no x86 thread has its stack there");
}

#[test]
fn registers_of_another_processor_are_no_context() {
    for (cpu, thread) in [(x86(), amd64_thread(5)), (amd64(), x86_thread(5)), (Cpu::Arm64, x86_thread(5))] {
        let raw = encode(&windows(cpu, vec![thread]));
        assert_eq!(context(&raw, 0), (0, 0));
    }
}

#[test]
fn amd64_has_the_record_that_it_has_everywhere() {
    let raw = encode(&windows(amd64(), vec![amd64_thread(5)]));
    let (at, size) = context(&raw, 0);
    assert_eq!((size, raw.u32(at + 0x30), raw.u64(at + 0xf8)), (1232, 0x0010_000f, registers(5).rip));
}

#[test]
fn arm64_has_microsofts_pair_without_being_asked() {
    let raw = encode(&windows(Cpu::Arm64, vec![arm64_thread(5)]));
    let (at, size) = context(&raw, 0);
    assert_eq!((raw.u16(raw.stream(7).0), size, raw.u32(at)), (12, 912, 0x0040_0007));
    let system = raw.read::<MinidumpSystemInfo>();
    assert_eq!((system.os, system.cpu), (system_info::Os::Windows, system_info::Cpu::Arm64));
}
