use serde::{Deserialize, Serialize};

/// Facts about the process as a whole. Times are in microseconds; `None` means unknown, never zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id in the capturing program's pid namespace.
    pub pid: u32,
    /// Id of the parent process.
    pub parent_pid: Option<u32>,
    /// Real user id (Unix).
    pub uid: Option<u32>,
    /// Path of the main executable, as raw bytes.
    pub executable: Option<Vec<u8>>,
    /// When the process started, in microseconds since 1970-01-01 00:00 UTC.
    pub start_time_us: Option<u64>,
    /// CPU time spent in user mode, all threads, in microseconds.
    pub user_time_us: Option<u64>,
    /// CPU time spent in the kernel, all threads, in microseconds.
    pub kernel_time_us: Option<u64>,
}
