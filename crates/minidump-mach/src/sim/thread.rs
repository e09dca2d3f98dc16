use super::states;
use crate::ThreadPort;
use minidump_snapshot::{CpuState, FaultState};
use std::collections::BTreeMap;

/// A thread of a simulated task, as the kernel's calls show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimThread {
    /// `thread_id`.
    pub id: u64,
    /// `pth_name`.
    pub name: Vec<u8>,
    /// `thread_handle`.
    pub handle: u64,
    /// `dispatch_qaddr`.
    pub queue_address: u64,
    /// Words by flavor.
    pub states: BTreeMap<u32, Vec<u32>>,
    /// In nanoseconds.
    pub user_time: u64,
    /// In nanoseconds.
    pub system_time: u64,
    /// `pth_curpri`.
    pub priority: i32,
    /// `run_state`: 1 running, 3 waiting.
    pub run_state: i32,
    /// `suspend_count`.
    pub suspend_count: i32,
    /// Label of the dispatch queue, for the builder to lay out.
    pub(super) queue: Option<Vec<u8>>,
}

impl SimThread {
    /// A waiting thread with the id `id` and no registers.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self { id, priority: 31, run_state: 3, ..Self::default() }
    }

    /// Names it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Gives it these registers: the words of all flavors. Vector registers that are not given are zeros, and so is the
    /// exception state.
    #[must_use]
    pub fn with_cpu(mut self, cpu: &CpuState) -> Self {
        self.states.extend(states::of_cpu(cpu));
        self
    }

    /// Gives it an exception state, in the flavor of the architecture of the registers that it has already.
    #[must_use]
    pub fn with_fault(mut self, fault: FaultState) -> Self {
        let is_arm = self.states.contains_key(&states::ARM_EXCEPTION_STATE64);
        self.states.extend([states::of_fault(&fault, is_arm)]);
        self
    }

    /// Gives it words of its own.
    #[must_use]
    pub fn with_words(mut self, flavor: u32, words: Vec<u32>) -> Self {
        self.states.insert(flavor, words);
        self
    }

    /// Sets its times in user mode and in the kernel, in nanoseconds.
    #[must_use]
    pub fn with_times(mut self, user: u64, system: u64) -> Self {
        (self.user_time, self.system_time) = (user, system);
        self
    }

    /// Sets the address of its `pthread_t`.
    #[must_use]
    pub fn with_handle(mut self, handle: u64) -> Self {
        self.handle = handle;
        self
    }

    /// Makes it work for a dispatch queue, which the builder lays out.
    #[must_use]
    pub fn on_queue(mut self, label: &str) -> Self {
        self.queue = Some(label.into());
        self
    }
}

/// The port that the thread at `index` of a task has.
#[must_use]
pub(super) fn port(index: usize) -> ThreadPort {
    ThreadPort(u32::try_from(index).unwrap_or(u32::MAX >> 9).saturating_mul(0x100).saturating_add(0x1103))
}
