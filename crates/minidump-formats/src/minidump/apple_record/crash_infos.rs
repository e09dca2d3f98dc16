use super::text::Text;
use minidump_snapshot::CrashInfo;
use serde::{Deserialize, Serialize};

/// What a library left for crash reports, where Mozilla's stream has no room for all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CrashInfoRecord {
    module_path: Text,
    version: u64,
    thread: u64,
    dialog_mode: u64,
    abort_cause: Option<u64>,
    message: Text,
    signature: Text,
    backtrace: Text,
    message2: Text,
}

impl CrashInfoRecord {
    pub(super) fn new(info: &CrashInfo) -> Self {
        Self {
            module_path: Text::new(&info.module_path),
            version: info.version,
            thread: info.thread,
            dialog_mode: info.dialog_mode,
            abort_cause: info.abort_cause,
            message: Text::new(&info.message),
            signature: Text::new(&info.signature),
            backtrace: Text::new(&info.backtrace),
            message2: Text::new(&info.message2),
        }
    }

    pub(super) fn into_info(self) -> CrashInfo {
        CrashInfo {
            module_path: self.module_path.into_bytes(),
            version: self.version,
            thread: self.thread,
            dialog_mode: self.dialog_mode,
            abort_cause: self.abort_cause,
            message: self.message.into_bytes(),
            signature: self.signature.into_bytes(),
            backtrace: self.backtrace.into_bytes(),
            message2: self.message2.into_bytes(),
        }
    }
}
