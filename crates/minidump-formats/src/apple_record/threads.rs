//! Threads: what neither a thread list nor an `LC_THREAD` has a field for.

use super::bytes::{Decoder, Encoder};
use minidump_snapshot::cpu::{Amd64State, DebugRegisters};
use minidump_snapshot::{AppleThread, CpuState, FaultState, Snapshot, Thread, ThreadTimes};
use std::collections::HashMap;

/// Most threads that are read.
const MAX_THREADS: usize = 1 << 16;
/// Where the XSAVE area goes on behind the FXSAVE image.
const FXSAVE_SIZE: usize = 512;

/// A thread without what the rest of the file tells of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ThreadRecord {
    thread: Thread,
    /// Which `LC_THREAD` has its registers, from 0 on.
    command: Option<u64>,
    /// All general registers are known, not just the stack pointer and the instruction pointer.
    has_registers: bool,
    /// The exception registers are those of the `LC_THREAD`.
    fault_is_told: bool,
    /// Registers of x86-64 that the sets of an `LC_THREAD` have no place for; of the XSAVE area what lies behind the FXSAVE
    /// image.
    amd64: Option<Box<Amd64State>>,
}

/// All threads, beside `LC_THREAD`s. `places` tells which command is which thread's.
pub(super) fn beside_commands(threads: &[Thread], places: &[Option<usize>]) -> Encoder {
    let mut to = Encoder::default();
    to.count(threads.len());
    for (index, thread) in threads.iter().enumerate() {
        encode(thread, places.get(index).copied().flatten(), &mut to);
    }
    to
}

/// The threads of which a thread list does not tell all; `None` without any.
pub(super) fn beside_streams(threads: &[Thread]) -> Option<Encoder> {
    let raw = |name: &&Vec<u8>| std::str::from_utf8(name).is_err();
    let untold = |thread: &Thread| Thread {
        name: thread.name.as_ref().filter(raw).cloned(),
        apple: thread.apple.clone(),
        ..Thread::new(thread.id)
    };
    let threads = threads.iter().map(untold);
    let threads: Vec<Thread> =
        threads.filter(|thread| thread.name.is_some() || thread.apple.is_some()).collect();
    (!threads.is_empty()).then(|| beside_commands(&threads, &[]))
}

fn encode(thread: &Thread, command: Option<usize>, to: &mut Encoder) {
    to.number(thread.id);
    to.optional(command.map(|command| command as u64));
    to.flag(thread.cpu.is_some());
    to.optional_bytes(thread.name.as_deref());
    to.optional(thread.state.map(|state| u32::from(state).into()));
    to.flag(thread.priority.is_some());
    if let Some(priority) = thread.priority {
        to.signed(i64::from(priority).cast_unsigned());
    }
    to.optional(thread.affinity);
    to.flag(thread.times.is_some());
    if let Some(ThreadTimes { start_us, user_us, kernel_us }) = thread.times {
        for time in [start_us, user_us, kernel_us] {
            to.number(time);
        }
    }
    to.optional(thread.thread_pointer);
    to.flag(thread.apple.is_some());
    if let Some(apple) = &thread.apple {
        encode_apple(apple, command.is_some(), to);
    }
    let amd64 = match &thread.cpu {
        Some(CpuState::Amd64(state)) if command.is_some() => Some(state),
        _ => None,
    };
    to.flag(amd64.is_some());
    if let Some(state) = amd64 {
        encode_amd64(state, to);
    }
}

fn encode_apple(apple: &AppleThread, has_command: bool, to: &mut Encoder) {
    to.number(apple.id);
    to.number(apple.handle);
    to.optional_bytes(apple.dispatch_queue.as_deref());
    to.number(apple.suspend_count);
    // The set of AArch64 has no processor, that of x86-64 a shorter number.
    let is_whole = |fault: FaultState| fault.cpu == 0 && u16::try_from(fault.number).is_ok();
    let is_told = has_command && apple.fault.is_none_or(is_whole);
    to.flag(is_told);
    if is_told {
        return;
    }
    to.flag(apple.fault.is_some());
    if let Some(FaultState { address, syndrome, number, cpu }) = apple.fault {
        to.number(address);
        for value in [syndrome, number, cpu.into()] {
            to.number(value);
        }
    }
}

fn encode_amd64(state: &Amd64State, to: &mut Encoder) {
    for selector in [state.ss, state.ds, state.es] {
        to.number(selector);
    }
    for base in [state.fs_base, state.gs_base] {
        to.number(base);
    }
    // Mostly -1.
    to.signed(state.orig_rax);
    to.bytes(state.xsave.get(FXSAVE_SIZE..).unwrap_or_default());
    to.flag(state.debug.is_some());
    if let Some(DebugRegisters { dr0_3, dr6, dr7 }) = state.debug {
        dr0_3.into_iter().chain([dr6, dr7]).for_each(|register| to.number(register));
    }
}

pub(super) fn read(from: &mut Decoder<'_>) -> Option<Vec<ThreadRecord>> {
    from.list(MAX_THREADS, record)
}

fn record(from: &mut Decoder<'_>) -> Option<ThreadRecord> {
    let mut thread = Thread::new(from.small()?);
    let command = from.optional_number()?;
    let has_registers = from.flag()?;
    thread.name = from.optional_bytes()?;
    thread.state = from.optional(|from| char::from_u32(from.small()?))?;
    thread.priority = from.optional(|from| from.signed()?.cast_signed().try_into().ok())?;
    thread.affinity = from.optional_number()?;
    thread.times = from.optional(|from| {
        let (start_us, user_us, kernel_us) = (from.number()?, from.number()?, from.number()?);
        Some(ThreadTimes { start_us, user_us, kernel_us })
    })?;
    thread.thread_pointer = from.optional_number()?;
    let mut fault_is_told = false;
    thread.apple = from.optional(|from| apple(from, &mut fault_is_told))?;
    let amd64 = from.optional(amd64)?;
    Some(ThreadRecord { thread, command, has_registers, fault_is_told, amd64 })
}

fn apple(from: &mut Decoder<'_>, fault_is_told: &mut bool) -> Option<Box<AppleThread>> {
    let (id, handle) = (from.number()?, from.number()?);
    let (dispatch_queue, suspend_count) = (from.optional_bytes()?, from.small()?);
    *fault_is_told = from.flag()?;
    let fault = |from: &mut Decoder<'_>| {
        let (address, syndrome, number) = (from.number()?, from.small()?, from.small()?);
        Some(FaultState { address, syndrome, number, cpu: from.number()?.try_into().ok()? })
    };
    let fault = if *fault_is_told { None } else { from.optional(fault)? };
    Some(Box::new(AppleThread { id, handle, dispatch_queue, suspend_count, fault }))
}

fn amd64(from: &mut Decoder<'_>) -> Option<Box<Amd64State>> {
    let mut selector = || from.number()?.try_into().ok();
    let (ss, ds, es) = (selector()?, selector()?, selector()?);
    let (fs_base, gs_base, orig_rax) = (from.number()?, from.number()?, from.signed()?);
    let xsave = from.bytes()?.to_vec();
    let debug = from.optional(|from| {
        let dr0_3 = [from.number()?, from.number()?, from.number()?, from.number()?];
        Some(DebugRegisters { dr0_3, dr6: from.number()?, dr7: from.number()? })
    })?;
    let state = Amd64State { ss, ds, es, fs_base, gs_base, orig_rax, xsave, debug, ..Amd64State::default() };
    Some(Box::new(state))
}

/// Completes the threads of the same ids.
pub(super) fn restore(records: Vec<ThreadRecord>, snapshot: &mut Snapshot) {
    let mut records: HashMap<u32, Thread> =
        records.into_iter().map(|record| (record.thread.id, record.thread)).collect();
    for thread in &mut snapshot.threads {
        let Some(record) = records.remove(&thread.id) else { continue };
        if record.name.is_some() {
            thread.name = record.name;
        }
        thread.apple = record.apple;
    }
}

impl ThreadRecord {
    /// The thread with what its `LC_THREAD` tells.
    pub(super) fn thread(self, commands: &[CommandThread]) -> Thread {
        let Self { mut thread, command, has_registers, fault_is_told, amd64 } = self;
        let told = command.and_then(|index| commands.get(usize::try_from(index).ok()?));
        let told = told.cloned().unwrap_or_default();
        thread.cpu = told.cpu;
        if let (Some(CpuState::Amd64(state)), Some(untold)) = (&mut thread.cpu, amd64) {
            (state.ss, state.ds, state.es) = (untold.ss, untold.ds, untold.es);
            (state.fs_base, state.gs_base, state.orig_rax) =
                (untold.fs_base, untold.gs_base, untold.orig_rax);
            state.xsave.extend(untold.xsave);
            state.debug = untold.debug;
        }
        if !has_registers {
            thread.fallback_sp_ip =
                thread.cpu.take().map(|cpu| (cpu.stack_pointer(), cpu.instruction_pointer()));
        }
        if let Some(apple) = thread.apple.as_mut().filter(|_| fault_is_told) {
            apple.fault = told.fault;
        }
        thread
    }
}

/// What an `LC_THREAD` tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommandThread {
    /// `None` without the set of general registers.
    pub cpu: Option<CpuState>,
    /// `None` without the set of exception registers.
    pub fault: Option<FaultState>,
}
