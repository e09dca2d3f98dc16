//! Whatever the snapshot and the plan: the `minidump` crate reads back what went in.

use crate::any_snapshot::{any_plan, any_snapshot};
use crate::apple::{any_mac_snapshot, any_pair};
use crate::build::{bytes_at, encode_from, full_source, write};
use crate::raw::{Raw, decode};
use minidump::{
    Minidump, MinidumpCrashpadInfo, MinidumpException, MinidumpHandleDataStream, MinidumpMacBootargs,
    MinidumpMacCrashInfo, MinidumpMemoryInfoList, MinidumpMemoryList, MinidumpModuleList, MinidumpRawContext,
    MinidumpSystemInfo, MinidumpThreadList, MinidumpThreadNames, Module as _, UnifiedMemoryList,
};
use minidump_common::format::CONTEXT_AMD64;
use minidump_formats::minidump::{APPLE_FACTS_STREAM, LayoutOptions, layout};
use minidump_snapshot::cpu::Amd64State;
use minidump_snapshot::{
    AppleFacts, BufferSource, CpuState, MemoryPlan, MemorySource, ModuleId, Process, Snapshot, SoftError,
    Thread,
};
use proptest::prelude::*;
use proptest::sample::Index;

type Dump<'a> = Minidump<'a, &'a [u8]>;

/// Everything but flags and floating point, in the order of [`expected_registers`].
fn found_registers(context: &CONTEXT_AMD64) -> [u64; 17] {
    [
        context.rax,
        context.rbx,
        context.rcx,
        context.rdx,
        context.rsi,
        context.rdi,
        context.rbp,
        context.rsp,
        context.r8,
        context.r9,
        context.r10,
        context.r11,
        context.r12,
        context.r13,
        context.r14,
        context.r15,
        context.rip,
    ]
}

fn expected_registers(state: &Amd64State) -> [u64; 17] {
    [
        state.rax, state.rbx, state.rcx, state.rdx, state.rsi, state.rdi, state.rbp, state.rsp, state.r8,
        state.r9, state.r10, state.r11, state.r12, state.r13, state.r14, state.r15, state.rip,
    ]
}

type Arm64Registers = ([u64; 31], u64, u64, u32, u32, u32, [u128; 32]);

/// General registers, SP, PC, CPSR, FPSR, FPCR and vector registers; zero where they are not known.
fn expected_arm64(cpu: Option<&CpuState>, pointers: Option<(u64, u64)>) -> Arm64Registers {
    let Some(CpuState::Arm64(state)) = cpu else {
        let (sp, pc) = pointers.unwrap_or_default();
        return ([0; 31], sp, pc, 0, 0, 0, [0; 32]);
    };
    let mut general = [0; 31];
    general[..29].copy_from_slice(&state.x);
    (general[29], general[30]) = (state.fp, state.lr);
    let vector = state.vector.as_deref().copied().unwrap_or_default();
    let float = vector.v.map(u128::from_le_bytes);
    (general, state.sp, state.pc, state.cpsr, vector.fpsr, vector.fpcr, float)
}

fn check_context(found: Option<&MinidumpRawContext>, thread: &Thread) -> Result<(), TestCaseError> {
    match (found, &thread.cpu, thread.fallback_sp_ip) {
        (None, None, None) => {}
        (Some(MinidumpRawContext::Amd64(found)), Some(CpuState::Amd64(state)), _) => {
            prop_assert_eq!(found_registers(found), expected_registers(state));
            prop_assert_eq!(u64::from(found.eflags), state.rflags);
        }
        (Some(MinidumpRawContext::Amd64(found)), None, Some((sp, ip))) => {
            prop_assert_eq!((found.rsp, found.rip), (sp, ip));
        }
        (Some(MinidumpRawContext::OldArm64(found)), cpu, pointers) => {
            let told =
                (found.iregs, found.sp, found.pc, found.cpsr, found.fpsr, found.fpcr, found.float_regs);
            prop_assert_eq!(told, expected_arm64(cpu.as_ref(), pointers));
        }
        (Some(MinidumpRawContext::Arm64(found)), cpu, pointers) => {
            let told =
                (found.iregs, found.sp, found.pc, found.cpsr, found.fpsr, found.fpcr, found.float_regs);
            prop_assert_eq!(told, expected_arm64(cpu.as_ref(), pointers));
        }
        (found, _, _) => prop_assert!(false, "registers of thread {}: {:?}", thread.id, found),
    }
    Ok(())
}

fn check_threads(dump: &Dump<'_>, snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let threads = dump.get_stream::<MinidumpThreadList<'_>>().unwrap();
    let names = dump.get_stream::<MinidumpThreadNames>().unwrap();
    let system = dump.get_stream::<MinidumpSystemInfo>().unwrap();
    prop_assert_eq!(threads.threads.len(), snapshot.threads.len());
    for (found, expected) in threads.threads.iter().zip(&snapshot.threads) {
        prop_assert_eq!(found.raw.thread_id, expected.id);
        let context = found.context(&system, None);
        check_context(context.as_deref().map(|context| &context.raw), expected)?;
        let name = names.get_name(expected.id).map(std::borrow::Cow::into_owned);
        prop_assert_eq!(
            name,
            expected.name.as_deref().map(|name| String::from_utf8_lossy(name).into_owned())
        );
    }
    Ok(())
}

fn check_exception(dump: &Dump<'_>, snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let found = dump.get_stream::<MinidumpException<'_>>().unwrap();
    let record = &found.raw.exception_record;
    let Some(expected) = &snapshot.exception else {
        prop_assert_eq!(record.exception_code, 0xffff_ffff);
        let first = snapshot.threads.first().map(|thread| thread.id);
        prop_assert_eq!(found.thread_id, snapshot.blamed_thread.or(first).unwrap_or(0));
        return Ok(());
    };
    prop_assert_eq!((found.thread_id, record.exception_address), (expected.thread, expected.address));
    // Wrapped exceptions of Mach tasks are told as what they wrap.
    if snapshot.apple.is_none() || !(10..=12).contains(&expected.code) {
        prop_assert_eq!((record.exception_code, record.exception_flags), (expected.code, expected.flags));
    }
    let kept = expected.parameters.len().min(15);
    prop_assert_eq!(record.number_parameters as usize, kept);
    prop_assert_eq!(&record.exception_information[..kept], &expected.parameters[..kept]);
    let system = dump.get_stream::<MinidumpSystemInfo>().unwrap();
    if let Some(thread) = snapshot.threads.iter().find(|thread| thread.id == expected.thread) {
        check_context(found.context(&system, None).as_deref().map(|context| &context.raw), thread)?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn check_lists(dump: &Dump<'_>, snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let modules = dump.get_stream::<MinidumpModuleList>().unwrap();
    let found = modules.iter().map(|module| {
        let id = module.code_identifier().map(|id| id.to_string());
        (module.base_address(), module.size(), module.code_file().into_owned(), id)
    });
    let mut expected: Vec<_> = snapshot.modules.iter().collect();
    expected.sort_by_key(|module| !module.is_main);
    let expected = expected.into_iter().map(|module| {
        // The reader takes an id of nothing but zeros for none.
        let id = module.id.as_ref().map(ModuleId::as_bytes).filter(|id| id.iter().any(|byte| *byte != 0));
        let id = id.map(hex);
        (module.base, module.size, String::from_utf8_lossy(&module.path).into_owned(), id)
    });
    prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let regions = dump.get_stream::<MinidumpMemoryInfoList<'_>>().ok();
    let found = regions.iter().flat_map(MinidumpMemoryInfoList::iter);
    let found: Vec<_> = found.map(|info| (info.raw.base_address, info.raw.region_size)).collect();
    let expected: Vec<_> = snapshot.regions.iter().map(|region| (region.start, region.size())).collect();
    prop_assert_eq!(found, expected);
    let handles = dump.get_stream::<MinidumpHandleDataStream>().ok();
    let found = handles.iter().flat_map(MinidumpHandleDataStream::iter);
    let found: Vec<_> =
        found.map(|handle| (*handle.raw.handle().unwrap(), handle.object_name.clone().unwrap())).collect();
    let expected: Vec<_> = snapshot
        .handles
        .iter()
        .map(|handle| (handle.value, String::from_utf8_lossy(&handle.target).into_owned()))
        .collect();
    prop_assert_eq!(found, expected);
    Ok(())
}

fn check_texts(raw: &Raw, snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let info = raw.reader().get_stream::<MinidumpCrashpadInfo>().ok();
    let annotations = info.map(|info| info.simple_annotations).unwrap_or_default();
    prop_assert_eq!(annotations, snapshot.annotations.iter().cloned().collect());
    let facts = snapshot.linux.clone().unwrap_or_default();
    for (stream, text) in [
        (0x4767_0003, facts.cpu_info),
        (0x4767_0004, facts.status),
        (0x4767_0005, facts.lsb_release),
        (0x4767_0006, facts.cmdline),
        (0x4767_0007, facts.environ),
        (0x4767_0008, facts.auxv),
        (0x4767_0009, facts.maps),
        (0x4d7a_0003, facts.limits),
    ] {
        prop_assert_eq!(raw.find(stream).map(|place| raw.slice(place)), text.as_deref());
    }
    let errors: Vec<SoftError> = serde_json::from_slice(raw.content(0x4d7a_0004)).unwrap();
    prop_assert_eq!(&errors, &snapshot.soft_errors);
    Ok(())
}

/// Texts that libraries left, the kernel's arguments, and that the record restores the rest.
fn check_apple(raw: &Raw, snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let facts = snapshot.apple.as_ref();
    let boot_args = raw.reader().get_stream::<MinidumpMacBootargs>().ok().and_then(|args| args.bootargs);
    prop_assert_eq!(boot_args, facts.and_then(|facts| facts.boot_args.clone()));
    let infos = raw.reader().get_stream::<MinidumpMacCrashInfo>().map(|infos| infos.raw).unwrap_or_default();
    let expected = facts.map(|facts| facts.crash_info.as_slice()).unwrap_or_default();
    prop_assert_eq!(infos.len(), expected.len().min(20));
    for (found, expected) in infos.iter().zip(expected) {
        let message = expected.message.split(|byte| *byte == 0).next().unwrap_or_default();
        let message = String::from_utf8_lossy(message);
        // The reader takes an empty text and zero for unknown.
        prop_assert_eq!(found.message().unwrap_or_default(), message.as_ref());
        prop_assert_eq!(found.thread().copied().unwrap_or(0), expected.thread);
    }
    let Some(place) = raw.find(APPLE_FACTS_STREAM) else { return Ok(()) };
    let record = decode(raw.slice(place)).unwrap();
    let mut restored = snapshot.clone();
    restored.process = Process { pid: restored.process.pid, ..Process::default() };
    restored.apple = facts.map(|facts| AppleFacts {
        boot_args: facts.boot_args.clone(),
        crash_info: facts.crash_info.clone(),
        ..AppleFacts::default()
    });
    for thread in &mut restored.threads {
        thread.apple = None;
    }
    for module in &mut restored.modules {
        module.path = String::from_utf8_lossy(&module.path).into_owned().into_bytes();
    }
    record.restore(&mut restored);
    prop_assert_eq!(&restored, snapshot);
    Ok(())
}

fn check_memory(dump: &Dump<'_>, plan: &MemoryPlan) -> Result<(), TestCaseError> {
    let memory = dump.get_stream::<MinidumpMemoryList<'_>>().unwrap();
    let found: Vec<_> = memory.iter().map(|memory| (memory.base_address, memory.bytes.to_vec())).collect();
    let expected: Vec<_> =
        plan.ranges().iter().map(|range| (range.start, bytes_at(range.start, range.size))).collect();
    prop_assert!(found == expected, "memory bytes");
    let threads = dump.get_stream::<MinidumpThreadList<'_>>().unwrap();
    let memory = UnifiedMemoryList::Memory(memory);
    for stack in plan.stacks() {
        let Some(thread) = threads.get_thread(stack.thread) else { continue };
        let found = thread.stack_memory(&memory).unwrap();
        let stack = plan.stack_of(stack.thread).unwrap();
        prop_assert_eq!(found.base_address(), stack.start);
        prop_assert!(found.bytes() == bytes_at(stack.start, stack.size), "stack bytes");
    }
    Ok(())
}

/// A source with only some pieces of the planned memory.
fn holed(plan: &MemoryPlan, cuts: &[(Index, u64, u64)]) -> BufferSource {
    let mut source = BufferSource::new();
    for (index, offset, size) in cuts {
        let index = index.index(plan.ranges().len().max(1));
        let Some(range) = plan.ranges().get(index) else { continue };
        // Whole pages, as a process has them: what lies behind a hole in its page is given up with it.
        let start = (range.start + offset % range.size).next_multiple_of(4096);
        let end = start.saturating_add(size & !4095).min(range.end());
        if start < end {
            source.insert(start, bytes_at(start, end - start));
        }
    }
    source
}

/// What `source` has at `address`, zero for what it has not.
fn byte_or_zero(source: &BufferSource, address: u64) -> u8 {
    let mut byte = [0];
    if source.read(address, &mut byte).done == 1 { byte[0] } else { 0 }
}

proptest! {
    #[test]
    fn the_file_holds_what_snapshot_and_plan_say(snapshot in any_snapshot(), plan in any_plan()) {
        let raw = encode_from(&snapshot, &plan, &full_source(&plan));
        let dump = Minidump::read(raw.bytes.as_slice()).unwrap();
        check_threads(&dump, &snapshot)?;
        check_exception(&dump, &snapshot)?;
        check_lists(&dump, &snapshot)?;
        check_texts(&raw, &snapshot)?;
        check_memory(&dump, &plan)?;
    }

    #[test]
    fn the_file_of_a_mach_task_holds_what_snapshot_and_plan_say(
        snapshot in any_mac_snapshot(),
        plan in any_plan(),
        arm64_context in any_pair(),
    ) {
        let options = LayoutOptions { arm64_context, ..LayoutOptions::default() };
        let layout = layout(&snapshot, &plan, &options).unwrap();
        prop_assert_eq!(layout.soft_errors(), []);
        let raw = Raw::new(write(&layout, &full_source(&plan)).0);
        let dump = Minidump::read(raw.bytes.as_slice()).unwrap();
        check_threads(&dump, &snapshot)?;
        check_exception(&dump, &snapshot)?;
        check_lists(&dump, &snapshot)?;
        check_texts(&raw, &snapshot)?;
        check_memory(&dump, &plan)?;
        check_apple(&raw, &snapshot)?;
    }

    #[test]
    fn memory_that_cannot_be_read_is_zero_and_a_hole_and_all_else_is_there(
        plan in any_plan(),
        cuts in prop::collection::vec((any::<Index>(), any::<u64>(), 1_u64..0x4000), 0..8),
    ) {
        let snapshot = crate::build::empty();
        let source = holed(&plan, &cuts);
        let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
        let (bytes, written) = write(&layout, &source);
        let memory = usize::try_from(layout.memory_offset()).unwrap();
        let planned = plan.ranges().iter().flat_map(|range| range.start..range.end());
        let expected: Vec<u8> = planned.map(|address| byte_or_zero(&source, address)).collect();
        prop_assert!(bytes[memory..memory + expected.len()] == expected, "memory bytes");
        // The synthetic target has no zero byte of its own.
        let zeros: u64 = expected.iter().map(|byte| u64::from(*byte == 0)).sum();
        prop_assert_eq!(written.hole_bytes, zeros);
        prop_assert_eq!(written.holes.iter().map(|hole| hole.size).sum::<u64>(), zeros);
    }
}
