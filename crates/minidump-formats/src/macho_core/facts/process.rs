use crate::macho_core::json::Text;
use minidump_snapshot::Process;
use serde::Serialize;

/// The process; its environment is not in it.
#[derive(Serialize)]
pub(super) struct ProcessFacts<'a> {
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_us: Option<u64>,
}

impl<'a> ProcessFacts<'a> {
    pub(super) fn new(process: &'a Process) -> Self {
        Self {
            pid: process.pid,
            parent_pid: process.parent_pid,
            uid: process.uid,
            executable: process.executable.as_deref().map(Text),
            start_us: process.start_time_us,
            user_us: process.user_time_us,
            kernel_us: process.kernel_time_us,
        }
    }
}
