use crate::macho_core::json::{Hexadecimal, Text};
use minidump_snapshot::cpu::{Amd64State, DebugRegisters};
use minidump_snapshot::{AppleThread, CpuState, FaultState, Thread, ThreadTimes};
use serde::Serialize;

/// Where the XSAVE area goes on behind the FXSAVE image.
const FXSAVE_SIZE: usize = 512;

#[derive(Serialize)]
pub(super) struct ThreadFacts<'a> {
    id: u32,
    /// Which `LC_THREAD` has its registers, from 0 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<usize>,
    /// All general registers are known, not just the stack pointer and the instruction pointer.
    registers: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<char>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affinity: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<ThreadTimes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_pointer: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apple: Option<AppleThreadFacts<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amd64: Option<Amd64Facts<'a>>,
}

impl<'a> ThreadFacts<'a> {
    pub(super) fn new(thread: &'a Thread, command: Option<usize>) -> Self {
        let amd64 = match &thread.cpu {
            Some(CpuState::Amd64(state)) if command.is_some() => Some(Amd64Facts::new(state)),
            _ => None,
        };
        Self {
            id: thread.id,
            command,
            registers: thread.cpu.is_some(),
            name: thread.name.as_deref().map(Text),
            state: thread.state,
            priority: thread.priority,
            affinity: thread.affinity,
            times: thread.times,
            thread_pointer: thread.thread_pointer,
            apple: thread.apple.as_deref().map(AppleThreadFacts::new),
            amd64,
        }
    }
}

#[derive(Serialize)]
struct AppleThreadFacts<'a> {
    id: u64,
    handle: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dispatch_queue: Option<Text<'a>>,
    suspend_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FaultState>,
}

impl<'a> AppleThreadFacts<'a> {
    fn new(thread: &'a AppleThread) -> Self {
        let AppleThread { id, handle, suspend_count, fault, .. } = *thread;
        let dispatch_queue = thread.dispatch_queue.as_deref().map(Text);
        Self { id, handle, dispatch_queue, suspend_count, fault }
    }
}

/// Registers of x86-64 that the sets of a core have no place for.
#[derive(Serialize)]
struct Amd64Facts<'a> {
    ss: u16,
    ds: u16,
    es: u16,
    fs_base: u64,
    gs_base: u64,
    orig_rax: u64,
    /// The XSAVE area behind the FXSAVE image.
    #[serde(skip_serializing_if = "Option::is_none")]
    xsave: Option<Hexadecimal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    debug: Option<DebugRegisters>,
}

impl<'a> Amd64Facts<'a> {
    fn new(state: &'a Amd64State) -> Self {
        let Amd64State { ss, ds, es, fs_base, gs_base, orig_rax, debug, .. } = *state;
        let rest = state.xsave.get(FXSAVE_SIZE..).filter(|rest| !rest.is_empty());
        Self { ss, ds, es, fs_base, gs_base, orig_rax, xsave: rest.map(Hexadecimal), debug }
    }
}
