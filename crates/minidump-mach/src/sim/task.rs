use super::fault::Fault;
use super::map::Map;
use super::{Call, Effect, SimArch, SimBuilder, SimThread, When, thread};
use crate::{KernReturn, ProcessFacts, ThreadPort};
use minidump_snapshot::Protection;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All that changes while the task is used.
#[derive(Debug, Default)]
pub(super) struct State {
    pub map: Map,
    pub threads: BTreeMap<ThreadPort, SimThread>,
    pub sysctls: BTreeMap<String, Vec<u8>>,
    pub facts: Option<ProcessFacts>,
    pub pid: i32,
    pub own_thread: Option<ThreadPort>,
    /// Address and size of `dyld_all_image_infos`.
    pub dyld_info: (u64, u64),
    pub faults: Vec<Fault>,
    pub calls: BTreeMap<Call, u64>,
    pub suspend_count: i32,
    pub suspensions: u64,
    pub unguarded_reads: u64,
    pub calls_while_stopped: BTreeMap<Call, u64>,
    /// What `region` gave last: address, size, depth, words.
    pub last_region: Option<(u64, u64, u32, Vec<u32>)>,
}

/// A simulated task: what [`MachTask`](crate::MachTask) tells is what the builder laid out. Faults can be injected, and
/// what a capture did to the task can be looked at.
#[derive(Debug)]
pub struct SimTask {
    state: Mutex<State>,
}

impl SimTask {
    /// Begins a task without any memory or thread, on a typical machine of that architecture.
    #[must_use]
    pub fn builder(arch: SimArch) -> SimBuilder {
        SimBuilder::new(arch)
    }

    pub(super) fn new(state: State) -> Self {
        Self { state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `effect` happen at the calls that `when` names.
    pub fn inject(&self, call: Call, when: When, effect: Effect) {
        self.state().faults.push(Fault { call, when, effect });
    }

    /// How often `call` was called.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.state().calls.get(&call).copied().unwrap_or_default()
    }

    /// How often `call` was called while the task was suspended.
    #[must_use]
    pub fn calls_while_stopped(&self, call: Call) -> u64 {
        self.state().calls_while_stopped.get(&call).copied().unwrap_or_default()
    }

    /// The port of the thread that was added as the `index`th.
    #[must_use]
    pub fn port(&self, index: usize) -> ThreadPort {
        thread::port(index)
    }

    /// The task's own suspend count.
    #[must_use]
    pub fn suspend_count(&self) -> i32 {
        self.state().suspend_count
    }

    /// Sets the suspend count, as somebody else left it.
    pub fn set_suspend_count(&self, count: i32) {
        self.state().suspend_count = count;
    }

    /// The suspend count of a thread; `None` when it has ended.
    #[must_use]
    pub fn thread_suspend_count(&self, thread: ThreadPort) -> Option<i32> {
        self.state().threads.get(&thread).map(|thread| thread.suspend_count)
    }

    /// Sets the suspend count of a thread, as somebody else left it.
    pub fn set_thread_suspend_count(&self, thread: ThreadPort, count: i32) {
        if let Some(thread) = self.state().threads.get_mut(&thread) {
            thread.suspend_count = count;
        }
    }

    /// How often the task or one of its threads was suspended.
    #[must_use]
    pub fn suspensions(&self) -> u64 {
        self.state().suspensions
    }

    /// How many reads of thread states found the thread running.
    #[must_use]
    pub fn states_read_while_running(&self) -> u64 {
        self.state().unguarded_reads
    }

    /// Address of `dyld_all_image_infos`.
    #[must_use]
    pub fn all_image_infos(&self) -> u64 {
        self.state().dyld_info.0
    }

    /// Changes what the kernel tells of address and size of `dyld_all_image_infos`.
    pub fn set_all_image_infos(&self, address: u64, size: u64) {
        self.state().dyld_info = (address, size);
    }

    /// Reads memory without counting as a call; `None` where any of it cannot be read.
    #[must_use]
    pub fn peek(&self, address: u64, size: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; size];
        self.state().map.read(address, &mut bytes).ok().map(|()| bytes)
    }

    /// Writes memory whatever its protection, as far as there is any. Returns how many bytes were written.
    pub fn poke(&self, address: u64, bytes: &[u8]) -> usize {
        self.state().map.write(address, bytes)
    }

    /// Gives the memory from `start` up to `end` another protection.
    pub fn protect(&self, start: u64, end: u64, protection: Protection) {
        self.state().map.protect(start, end, protection);
    }

    /// Takes the memory from `start` up to `end` away.
    pub fn unmap(&self, start: u64, end: u64) {
        self.state().map.unmap(start, end);
    }

    /// Ends a thread.
    pub fn end_thread(&self, thread: ThreadPort) {
        self.state().threads.remove(&thread);
    }

    /// Changes what the calls tell of a thread.
    pub fn change_thread(&self, thread: ThreadPort, change: impl FnOnce(&mut SimThread)) {
        if let Some(thread) = self.state().threads.get_mut(&thread) {
            change(thread);
        }
    }

    /// Does what faults do before a call, and tells what they make of it: whether it fails, and how much it may give.
    pub(super) fn begin(
        &self,
        call: Call,
        thread: Option<ThreadPort>,
        flavor: Option<u32>,
    ) -> (MutexGuard<'_, State>, Result<Allowed, KernReturn>) {
        let mut state = self.state();
        let count = state.calls.entry(call).or_default();
        *count += 1;
        let nth = *count;
        if state.suspend_count > 0 {
            *state.calls_while_stopped.entry(call).or_default() += 1;
        }
        let mut allowed = Allowed { most: usize::MAX, stuck: false, empty: false };
        let mut failure = None;
        let faults: Vec<Fault> = state.faults.clone();
        for fault in faults.iter().filter(|fault| fault.concerns(call, nth, thread, flavor)) {
            match fault.effect {
                Effect::Fail(code) => failure = Some(code),
                Effect::Short(most) => allowed.most = most,
                Effect::ThreadEnds(port) => drop(state.threads.remove(&port)),
                Effect::Unmap(start, end) => state.map.unmap(start, end),
                Effect::Write(address, bytes) => drop(state.map.write(address, &bytes)),
                Effect::Stuck => allowed.stuck = true,
                Effect::Empty => allowed.empty = true,
            }
        }
        (state, failure.map_or(Ok(allowed), Err))
    }
}

/// What the faults leave of a call.
pub(super) struct Allowed {
    pub most: usize,
    pub stuck: bool,
    pub empty: bool,
}
