use crate::{AppleThread, CpuState};
use serde::{Deserialize, Serialize};

/// CPU times and start of a thread, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadTimes {
    /// When the thread started, in microseconds since 1970-01-01 00:00 UTC.
    pub start_us: u64,
    /// CPU time in user mode.
    pub user_us: u64,
    /// CPU time in the kernel.
    pub kernel_us: u64,
}

/// One thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// The operating system's id of the thread.
    pub id: u32,
    /// Name, as raw bytes; `None` when it could not be read.
    pub name: Option<Vec<u8>>,
    /// Registers; `None` for a thread that could not be stopped or had gone.
    pub cpu: Option<CpuState>,
    /// Stack pointer and instruction pointer told by a side channel (Linux: /proc/PID/task/TID/syscall) for a thread
    /// whose registers could not be read.
    pub fallback_sp_ip: Option<(u64, u64)>,
    /// Scheduler state as the system names it (Linux: the letter in /proc/PID/task/TID/stat, before the stop).
    pub state: Option<char>,
    /// Scheduling priority as the system counts it (Linux: `priority` of stat, 20 + nice, or -1 - `rt_priority`).
    pub priority: Option<i32>,
    /// Affinity mask of the first 64 processors.
    pub affinity: Option<u64>,
    /// Times.
    pub times: Option<ThreadTimes>,
    /// Base of the thread's own data block: TEB on Windows, thread pointer (FS base) on Linux x86-64.
    pub thread_pointer: Option<u64>,
    /// What only Apple's systems tell.
    pub apple: Option<Box<AppleThread>>,
}

impl Thread {
    /// A thread of which only the id is known.
    #[must_use]
    pub fn new(id: u32) -> Self {
        Self {
            id,
            name: None,
            cpu: None,
            fallback_sp_ip: None,
            state: None,
            priority: None,
            affinity: None,
            times: None,
            thread_pointer: None,
            apple: None,
        }
    }

    /// The stack pointer, from the registers or else from the side channel.
    #[must_use]
    pub fn stack_pointer(&self) -> Option<u64> {
        self.cpu.as_ref().map(CpuState::stack_pointer).or_else(|| self.fallback_sp_ip.map(|(sp, _)| sp))
    }

    /// The instruction pointer, from the registers or else from the side channel.
    #[must_use]
    pub fn instruction_pointer(&self) -> Option<u64> {
        self.cpu.as_ref().map(CpuState::instruction_pointer).or_else(|| self.fallback_sp_ip.map(|(_, ip)| ip))
    }
}
