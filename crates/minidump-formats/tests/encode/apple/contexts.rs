use super::build::{
    PAIRS, arm64_registers, arm64_thread, encode_as, encode_with, intel, intel_registers, intel_thread, mac,
};
use crate::build::{bytes_at, encode, plan};
use crate::raw::Raw;
use minidump::{
    MinidumpException, MinidumpMemoryList, MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadList,
    UnifiedMemoryList, system_info,
};
use minidump_formats::minidump::{Arm64Context, LayoutOptions};
use minidump_snapshot::{Cpu, CpuState, Purpose, Thread};

const THREAD_LIST: u32 = 3;
const EXCEPTION: u32 = 6;
const SYSTEM_INFO: u32 = 7;

/// Offset and size of the context of the thread number `index`.
fn context(raw: &Raw, index: usize) -> (usize, usize) {
    let (list, _) = raw.stream(THREAD_LIST);
    raw.location(list + 4 + 48 * index + 40)
}

#[test]
fn architecture_and_record_of_arm64_are_always_a_pair() {
    let snapshot = mac(Cpu::Arm64, vec![arm64_thread(1), arm64_thread(2)]);
    for (pair, architecture, size, flags) in
        [(Arm64Context::Breakpad, 0x8003, 796, 0x8000_0006), (Arm64Context::Microsoft, 12, 912, 0x0040_0007)]
    {
        let raw = encode_as(&snapshot, pair);
        assert_eq!(raw.u16(raw.stream(SYSTEM_INFO).0), architecture);
        let in_exception = raw.location(raw.stream(EXCEPTION).0 + 160);
        for place in [context(&raw, 0), context(&raw, 1), in_exception] {
            assert_eq!((place.1, place.0 % 16), (size, 0));
            assert_eq!(raw.u32(place.0), flags);
        }
    }
}

#[test]
fn the_pair_of_breakpad_is_the_default() {
    assert_eq!(LayoutOptions::default().arm64_context, Arm64Context::Breakpad);
    let raw = encode(&mac(Cpu::Arm64, vec![arm64_thread(1)]));
    assert_eq!((raw.u16(raw.stream(SYSTEM_INFO).0), context(&raw, 0).1), (0x8003, 796));
}

#[test]
fn general_registers_lie_at_the_same_offsets_in_both_records() {
    let snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    let state = arm64_registers(1);
    for pair in PAIRS {
        let raw = encode_as(&snapshot, pair);
        let (at, _) = context(&raw, 0);
        for (index, register) in state.x.iter().enumerate() {
            assert_eq!(raw.u64(at + 8 + 8 * index), *register);
        }
        let special = [raw.u64(at + 240), raw.u64(at + 248), raw.u64(at + 256), raw.u64(at + 264)];
        assert_eq!(special, [state.fp, state.lr, state.sp, state.pc]);
    }
}

#[test]
fn flags_and_vector_registers_lie_where_each_record_has_them() {
    let snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    let vector: Vec<u8> = (0..=255).chain(0..=255).collect();
    let raw = encode_as(&snapshot, Arm64Context::Breakpad);
    let (at, _) = context(&raw, 0);
    assert_eq!(raw.u32(at + 4), 0, "the flags have 64 bits");
    assert_eq!([raw.u32(at + 272), raw.u32(at + 276), raw.u32(at + 280)], [0x6000_1000, 0x11, 0x22]);
    assert_eq!(raw.slice((at + 284, 512)), vector);
    let raw = encode_as(&snapshot, Arm64Context::Microsoft);
    let (at, _) = context(&raw, 0);
    assert_eq!([raw.u32(at + 4), raw.u32(at + 784), raw.u32(at + 788)], [0x6000_1000, 0x22, 0x11]);
    assert_eq!(raw.slice((at + 272, 512)), vector);
    assert_eq!(raw.slice((at + 792, 120)), [0; 120], "no debug registers");
}

#[test]
fn readers_understand_both_pairs() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1), Thread::new(2), arm64_thread(3)]);
    snapshot.blamed_thread = Some(1);
    for pair in PAIRS {
        let raw = encode_as(&snapshot, pair);
        let system = raw.read::<MinidumpSystemInfo>();
        assert_eq!((system.os, system.cpu), (system_info::Os::MacOs, system_info::Cpu::Arm64));
        let threads = raw.read::<MinidumpThreadList<'_>>();
        for id in [1, 3] {
            let found = threads.get_thread(id).unwrap().context(&system, None).unwrap().into_owned();
            let state = arm64_registers(u64::from(id));
            assert_eq!(found.get_instruction_pointer(), state.pc);
            let names = ["x0", "x28", "fp", "lr", "sp"];
            let found: Vec<u64> = names.iter().map(|name| found.get_register(name).unwrap()).collect();
            assert_eq!(found, [state.x[0], state.x[28], state.fp, state.lr, state.sp]);
        }
        assert!(threads.get_thread(2).unwrap().context(&system, None).is_none());
        let exception = raw.read::<MinidumpException<'_>>();
        let found = exception.context(&system, None).unwrap();
        assert_eq!(found.get_instruction_pointer(), arm64_registers(1).pc);
    }
}

#[test]
fn vector_registers_that_were_not_read_are_not_claimed() {
    let mut thread = arm64_thread(1);
    if let Some(CpuState::Arm64(state)) = &mut thread.cpu {
        state.vector = None;
    }
    let snapshot = mac(Cpu::Arm64, vec![thread]);
    for (pair, flags) in [(Arm64Context::Breakpad, 0x8000_0002), (Arm64Context::Microsoft, 0x0040_0003)] {
        let raw = encode_as(&snapshot, pair);
        assert_eq!(raw.u32(context(&raw, 0).0), flags);
    }
}

#[test]
fn a_thread_of_which_only_the_pointers_are_known_can_be_unwound() {
    let mut thread = Thread::new(1);
    thread.fallback_sp_ip = Some((0x1_6fe0_0000, 0x1_8000_1234));
    let snapshot = mac(Cpu::Arm64, vec![thread]);
    for pair in PAIRS {
        let raw = encode_as(&snapshot, pair);
        let system = raw.read::<MinidumpSystemInfo>();
        let threads = raw.read::<MinidumpThreadList<'_>>();
        let found = threads.get_thread(1).unwrap().context(&system, None).unwrap().into_owned();
        assert_eq!(found.get_stack_pointer(), 0x1_6fe0_0000);
        assert_eq!(found.get_instruction_pointer(), 0x1_8000_1234);
    }
}

#[test]
fn contexts_of_macos_on_intel_claim_all_that_they_hold() {
    let mut snapshot = mac(intel(), vec![intel_thread(1), intel_thread(2)]);
    snapshot.blamed_thread = Some(1);
    let raw = encode(&snapshot);
    assert_eq!(raw.u16(raw.stream(SYSTEM_INFO).0), 9);
    let in_exception = raw.location(raw.stream(EXCEPTION).0 + 160);
    for (place, id) in [(context(&raw, 0), 1), (context(&raw, 1), 2), (in_exception, 1)] {
        let state = intel_registers(id);
        assert_eq!(place.1, 1232);
        assert_eq!(raw.u32(place.0 + 0x30), 0x0010_000f, "LLDB shows zeros without these");
        assert_eq!(raw.u64(place.0 + 0xf8), state.rip);
        assert_eq!(raw.slice((place.0 + 0x100, 512)), state.xsave);
    }
    let threads = raw.read::<MinidumpThreadList<'_>>();
    let system = raw.read::<MinidumpSystemInfo>();
    let found = threads.get_thread(2).unwrap().context(&system, None).unwrap().into_owned();
    let MinidumpRawContext::Amd64(found) = &found.raw else { panic!("{found:?}") };
    assert_eq!((found.rbx, found.r15), (intel_registers(2).rbx, intel_registers(2).r15));
}

#[test]
fn stacks_are_in_the_thread_list_and_in_the_memory_list() {
    let snapshot = mac(Cpu::Arm64, vec![arm64_thread(1), arm64_thread(2)]);
    let ranges = [(0x1_6fe0_0000, 0x400, Purpose::BlamedStack), (0x1_6ff0_0000, 0x200, Purpose::Stack)];
    let plan = plan(&ranges, &[(1, 0x1_6fe0_0000, 0x400), (2, 0x1_6ff0_0000, 0x200)]);
    let raw = encode_with(&snapshot, &plan);
    let memory = raw.read::<MinidumpMemoryList<'_>>();
    let unified = UnifiedMemoryList::Memory(raw.read::<MinidumpMemoryList<'_>>());
    let threads = raw.read::<MinidumpThreadList<'_>>();
    for (id, start, size) in [(1, 0x1_6fe0_0000, 0x400), (2, 0x1_6ff0_0000, 0x200)] {
        let listed = memory.memory_at_address(start).unwrap();
        assert_eq!((listed.base_address, listed.bytes), (start, bytes_at(start, size).as_slice()));
        let stack = threads.get_thread(id).unwrap().stack_memory(&unified).unwrap();
        assert_eq!((stack.base_address(), stack.size()), (start, size));
    }
}
