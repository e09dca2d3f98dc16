use crate::build::{debug_registers, empty, encode, encode_from, full_source, plan, registers, thread};
use crate::raw::Raw;
use minidump::{
    MinidumpMemoryList, MinidumpMiscInfo, MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadInfoList,
    MinidumpThreadList, MinidumpThreadNames, UnifiedMemoryList,
};
use minidump_common::format::CONTEXT_AMD64;
use minidump_formats::minidump::{THREAD_EXTRA_STREAM, ThreadExtra, ThreadExtraFlags, XSAVE_LIST_STREAM};
use minidump_snapshot::{CpuState, Purpose, Snapshot, Thread, ThreadTimes};
use scroll::{LE, Pread};

const THREAD_LIST: u32 = 3;

fn with_threads(threads: Vec<Thread>) -> Snapshot {
    let mut snapshot = empty();
    snapshot.threads = threads;
    snapshot
}

fn context(raw: &Raw, id: u32) -> Option<CONTEXT_AMD64> {
    let system = raw.read::<MinidumpSystemInfo>();
    let misc = raw.read::<MinidumpMiscInfo>();
    let threads = raw.read::<MinidumpThreadList<'_>>();
    let context = threads.get_thread(id).unwrap().context(&system, Some(&misc))?.into_owned();
    match context.raw {
        MinidumpRawContext::Amd64(context) => Some(context),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_register_comes_back() {
    let mut state = registers(1);
    state.debug = Some(debug_registers());
    let raw = encode(&with_threads(vec![thread(5, state.clone())]));
    let context = context(&raw, 5).unwrap();
    assert_eq!(context.context_flags, 0x0010_001f);
    let general = [
        (context.rax, state.rax),
        (context.rbx, state.rbx),
        (context.rcx, state.rcx),
        (context.rdx, state.rdx),
        (context.rsi, state.rsi),
        (context.rdi, state.rdi),
        (context.rbp, state.rbp),
        (context.rsp, state.rsp),
        (context.r8, state.r8),
        (context.r9, state.r9),
        (context.r10, state.r10),
        (context.r11, state.r11),
        (context.r12, state.r12),
        (context.r13, state.r13),
        (context.r14, state.r14),
        (context.r15, state.r15),
        (context.rip, state.rip),
    ];
    for (index, (found, expected)) in general.into_iter().enumerate() {
        assert_eq!(found, expected, "register {index}");
    }
    let segments = [context.cs, context.ss, context.ds, context.es, context.fs, context.gs];
    assert_eq!(segments, [0x33, 0x2b, 1, 2, 3, 4]);
    assert_eq!((context.eflags, context.mx_csr), (0x246, 0x1f80));
    assert_eq!(context.float_save.as_slice(), &state.xsave[..512]);
    let debug = [context.dr0, context.dr1, context.dr2, context.dr3, context.dr6, context.dr7];
    assert_eq!(debug, [0xd0, 0xd1, 0xd2, 0xd3, 0xd6, 0xd7]);
}

#[test]
fn the_context_record_has_1232_bytes_and_the_offsets_of_winnt() {
    let raw = encode(&with_threads(vec![thread(5, registers(1))]));
    let (list, size) = raw.stream(THREAD_LIST);
    assert_eq!(size, 4 + 48);
    let (context, context_size) = raw.location(list + 4 + 40);
    assert_eq!(context_size, 1232);
    assert_eq!(context % 16, 0);
    assert_eq!(raw.u32(context + 0x30), 0x0010_000f, "ContextFlags");
    assert_eq!(raw.u32(context + 0x34), 0x1f80, "MxCsr");
    assert_eq!(raw.u16(context + 0x38), 0x33, "SegCs");
    assert_eq!(raw.u16(context + 0x42), 0x2b, "SegSs");
    assert_eq!(raw.u32(context + 0x44), 0x246, "EFlags");
    assert_eq!(raw.u64(context + 0x78), registers(1).rax, "Rax");
    assert_eq!(raw.u64(context + 0x98), registers(1).rsp, "Rsp");
    assert_eq!(raw.u64(context + 0xf8), registers(1).rip, "Rip");
    assert_eq!(raw.slice((context + 0x100, 512)), &registers(1).xsave[..512], "FltSave");
    assert!(raw.slice((context + 0x300, 1232 - 0x300)).iter().all(|byte| *byte == 0));
}

#[test]
fn a_thread_keeps_its_priority_and_claims_no_windows_teb() {
    let mut first = thread(5, registers(1));
    first.priority = Some(-51);
    let raw = encode(&with_threads(vec![first, Thread::new(6)]));
    let (list, _) = raw.stream(THREAD_LIST);
    assert_eq!(raw.u32(list), 2);
    let fields: Vec<u32> = (0..4).map(|index| raw.u32(list + 4 + 4 * index)).collect();
    assert_eq!(fields, [5, 0, 0, 51_u32.wrapping_neg()]);
    assert_eq!(raw.u64(list + 4 + 16), 0, "Teb");
    assert_eq!(raw.u32(list + 4 + 48), 6);
}

#[test]
fn the_last_error_of_windows_is_never_made_up() {
    let mut state = registers(1);
    state.fs_base = 0x7000;
    let snapshot = with_threads(vec![thread(5, state)]);
    let plan = plan(&[(0x7000, 0x100, Purpose::Stack)], &[(5, 0x7000, 0x100)]);
    let raw = encode_from(&snapshot, &plan, &full_source(&plan));
    let memory = UnifiedMemoryList::Memory(raw.read::<MinidumpMemoryList<'_>>());
    let threads = raw.read::<MinidumpThreadList<'_>>();
    let cpu = raw.read::<MinidumpSystemInfo>().cpu;
    assert!(threads.get_thread(5).unwrap().last_error(cpu, &memory).is_none());
}

#[test]
fn a_stack_descriptor_points_at_the_bytes_of_the_stack() {
    let snapshot =
        with_threads(vec![thread(5, registers(1)), thread(6, registers(2)), thread(7, registers(3))]);
    let ranges = [(0x8000, 0x400, Purpose::Stack), (0x5000, 0x200, Purpose::BlamedStack)];
    // The second stack is a part of its range, the third is in no range.
    let plan = plan(&ranges, &[(5, 0x5000, 0x200), (6, 0x8100, 0x300), (7, 0xf000, 0x10)]);
    let raw = encode_from(&snapshot, &plan, &full_source(&plan));
    let memory = UnifiedMemoryList::Memory(raw.read::<MinidumpMemoryList<'_>>());
    let threads = raw.read::<MinidumpThreadList<'_>>();
    let stack = |id| threads.get_thread(id).unwrap().stack_memory(&memory);
    for (id, start, size) in [(5, 0x5000, 0x200), (6, 0x8100, 0x300)] {
        let stack = stack(id).unwrap();
        assert_eq!(stack.base_address(), start);
        assert_eq!(stack.bytes(), crate::build::bytes_at(start, size));
    }
    assert!(stack(7).is_none());
    let (list, _) = raw.stream(THREAD_LIST);
    assert_eq!(raw.u64(list + 4 + 2 * 48 + 24), 0xf000, "where the stack would be");
    assert_eq!(raw.location(list + 4 + 2 * 48 + 32), (0, 0));
}

#[test]
fn a_thread_without_registers_has_no_context_and_says_so() {
    let snapshot = with_threads(vec![thread(5, registers(1)), Thread::new(6)]);
    let raw = encode(&snapshot);
    assert!(context(&raw, 5).is_some());
    assert!(context(&raw, 6).is_none());
    let (list, _) = raw.stream(THREAD_LIST);
    assert_eq!(raw.location(list + 4 + 48 + 40), (0, 0));
    let infos = raw.read::<MinidumpThreadInfoList>();
    assert_eq!(infos.get_thread_info(6).unwrap().raw.dump_flags, 0x10 | 0x08 | 0x01);
    assert_eq!(infos.get_thread_info(6).unwrap().raw.dump_error, 0x8000_4005);
    assert_eq!(infos.get_thread_info(5).unwrap().raw.dump_flags, 0x08);
    assert_eq!(infos.get_thread_info(5).unwrap().raw.dump_error, 0);
}

#[test]
fn pointers_from_a_side_channel_make_a_context_of_the_control_registers() {
    let mut stuck = Thread::new(6);
    stuck.fallback_sp_ip = Some((0x7ffe_0000, 0x40_1000));
    let raw = encode(&with_threads(vec![stuck]));
    let context = context(&raw, 6).unwrap();
    assert_eq!((context.rsp, context.rip), (0x7ffe_0000, 0x40_1000));
    assert_eq!(context.context_flags, 0x0010_0001);
    let infos = raw.read::<MinidumpThreadInfoList>();
    assert_eq!(infos.get_thread_info(6).unwrap().raw.dump_flags, 0x10 | 0x08);
}

#[test]
fn thread_infos_have_windows_units() {
    let mut busy = thread(5, registers(1));
    busy.times = Some(ThreadTimes { start_us: 1_000_000, user_us: 20, kernel_us: 30 });
    busy.affinity = Some(0xf0);
    let raw = encode(&with_threads(vec![busy]));
    let (stream, size) = raw.stream(17);
    assert_eq!(size, 12 + 64);
    assert_eq!((raw.u32(stream), raw.u32(stream + 4), raw.u32(stream + 8)), (12, 64, 1));
    let infos = raw.read::<MinidumpThreadInfoList>();
    let info = &infos.get_thread_info(5).unwrap().raw;
    assert_eq!(info.create_time, 116_444_736_010_000_000);
    assert_eq!((info.user_time, info.kernel_time, info.affinity), (200, 300, 0xf0));
    assert_eq!((info.dump_flags, info.dump_error), (0, 0));
}

#[test]
fn names_are_those_of_the_threads_that_have_one() {
    let mut threads: Vec<Thread> = (1..=4).map(Thread::new).collect();
    threads[0].name = Some(b"main".to_vec());
    threads[2].name = Some("w\u{f6}rker \u{1f980}".as_bytes().to_vec());
    threads[3].name = Some(b"bad\xff\xfename".to_vec());
    let raw = encode(&with_threads(threads));
    let (stream, size) = raw.stream(24);
    assert_eq!((raw.u32(stream), size), (3, 4 + 3 * 12));
    let names = raw.read::<MinidumpThreadNames>();
    assert_eq!(names.get_name(1).as_deref(), Some("main"));
    assert_eq!(names.get_name(2), None);
    assert_eq!(names.get_name(3).as_deref(), Some("w\u{f6}rker \u{1f980}"));
    assert_eq!(names.get_name(4).as_deref(), Some("bad\u{fffd}\u{fffd}name"));
}

#[test]
fn bases_and_state_of_each_thread_are_in_our_own_stream() {
    let mut first = thread(5, registers(1));
    first.state = Some('D');
    let mut stuck = Thread::new(6);
    stuck.fallback_sp_ip = Some((0x10, 0x20));
    let raw = encode(&with_threads(vec![first, stuck]));
    let (stream, size) = raw.stream(THREAD_EXTRA_STREAM);
    assert_eq!(size, 16 + 2 * 64);
    let header: Vec<u32> = (0..4).map(|index| raw.u32(stream + 4 * index)).collect();
    assert_eq!(header, [16, 64, 2, 0]);
    let entry = |index: usize| raw.bytes.pread_with::<ThreadExtra>(stream + 16 + 64 * index, LE).unwrap();
    let expected = ThreadExtra {
        thread_id: 5,
        flags: ThreadExtraFlags::REGISTERS | ThreadExtraFlags::THREAD_POINTER | ThreadExtraFlags::STATE,
        fs_base: registers(1).fs_base,
        gs_base: registers(1).gs_base,
        orig_rax: registers(1).orig_rax,
        thread_pointer: registers(1).fs_base,
        stack_pointer: 0,
        instruction_pointer: 0,
        state: u32::from(b'D'),
        reserved: 0,
    };
    assert_eq!(entry(0), expected);
    assert_eq!(entry(1).flags, ThreadExtraFlags::POINTERS);
    assert_eq!((entry(1).stack_pointer, entry(1).instruction_pointer), (0x10, 0x20));
    assert_eq!(raw.u64(stream + 16 + 8), registers(1).fs_base);
    assert_eq!(raw.u64(stream + 16 + 16), registers(1).gs_base);
    assert_eq!(raw.u64(stream + 16 + 24), registers(1).orig_rax);
    assert_eq!(raw.u32(stream + 16 + 56), u32::from(b'D'));
}

#[test]
fn xsave_areas_are_kept_whole_where_they_tell_more_than_the_context() {
    let mut legacy = registers(2);
    legacy.xsave.truncate(576);
    let mut threads =
        vec![thread(5, registers(1)), thread(6, legacy), thread(7, registers(3)), Thread::new(8)];
    if let Some(CpuState::Amd64(state)) = &mut threads[2].cpu {
        state.xsave.resize(2696, 0xab);
    }
    let snapshot = with_threads(threads);
    let raw = encode(&snapshot);
    let (stream, size) = raw.stream(XSAVE_LIST_STREAM);
    assert_eq!(size, 16 + 2 * 16);
    let header: Vec<u32> = (0..4).map(|index| raw.u32(stream + 4 * index)).collect();
    assert_eq!(header, [16, 16, 2, 0]);
    for (index, id, length) in [(0, 5, 832), (1, 7, 2696)] {
        let entry = stream + 16 + 16 * index;
        assert_eq!((raw.u32(entry), raw.u32(entry + 4)), (id, 0));
        let area = raw.location(entry + 8);
        assert_eq!((area.0 % 16, area.1), (0, length));
        let thread = snapshot.threads.iter().find(|thread| thread.id == id).unwrap();
        let Some(CpuState::Amd64(state)) = &thread.cpu else { panic!() };
        assert_eq!(raw.slice(area), state.xsave);
    }
}

#[test]
fn without_extended_state_there_is_no_xsave_stream() {
    let mut legacy = registers(2);
    legacy.xsave.truncate(512);
    assert_eq!(encode(&with_threads(vec![thread(6, legacy)])).find(XSAVE_LIST_STREAM), None);
}
