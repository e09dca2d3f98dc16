use crate::CpuState;
use serde::{Deserialize, Serialize};

/// A crash as the crashing program itself recorded it: why, and the registers at that instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// Why, and in which thread.
    pub exception: Exception,
    /// The crashing thread's registers. Those that it has when it is dumped are its crash handler's.
    pub cpu: Option<CpuState>,
}

/// Why the target crashed, in the words of its operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The thread that crashed.
    pub thread: u32,
    /// Exception code: the signal number on Linux, the type (`EXC_*`) on Apple's systems, the status on Windows.
    pub code: u32,
    /// Exception flags: `si_code` on Linux, the lower half of the first code on Apple's systems,
    /// `ExceptionFlags` on Windows.
    pub flags: u32,
    /// Faulting address, or the instruction pointer where the system tells none.
    pub address: u64,
    /// Further facts, at most 15.
    pub parameters: Vec<u64>,
}
