use serde::{Deserialize, Serialize};
use std::fmt;

/// Which part of the work a soft error belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub enum Stage {
    StopThread,
    Registers,
    ThreadFacts,
    MemoryMap,
    Memory,
    Module,
    Loader,
    ProcFile,
    Handles,
    System,
    Target,
    Format,
}

impl Stage {
    /// The name that it has in the serialised form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StopThread => "stop_thread",
            Self::Registers => "registers",
            Self::ThreadFacts => "thread_facts",
            Self::MemoryMap => "memory_map",
            Self::Memory => "memory",
            Self::Module => "module",
            Self::Loader => "loader",
            Self::ProcFile => "proc_file",
            Self::Handles => "handles",
            Self::System => "system",
            Self::Target => "target",
            Self::Format => "format",
        }
    }
}

/// Something that could not be captured: what, where, why. It never fails the dump; it is written into it.
///
/// `errno`, `thread` and `address` are left out of the serialised form when unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftError {
    /// Part of the work.
    pub stage: Stage,
    /// What could not be had and why, as one sentence fragment.
    pub message: String,
    /// Thread concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u32>,
    /// First address concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    /// Bytes concerned, from `address` on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Error number of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_error: Option<i32>,
}

impl SoftError {
    /// A soft error of `stage` with nothing but a message.
    #[must_use]
    pub fn new(stage: Stage, message: impl Into<String>) -> Self {
        Self { stage, message: message.into(), thread: None, address: None, size: None, os_error: None }
    }

    /// Names the thread.
    #[must_use]
    pub fn thread(mut self, id: u32) -> Self {
        self.thread = Some(id);
        self
    }

    /// Names the memory range.
    #[must_use]
    pub fn range(mut self, address: u64, size: u64) -> Self {
        self.address = Some(address);
        self.size = Some(size);
        self
    }

    /// Names the operating system's error number.
    #[must_use]
    pub fn os_error(mut self, code: Option<i32>) -> Self {
        self.os_error = code;
        self
    }
}

impl fmt::Display for SoftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(thread) = self.thread {
            write!(f, ", thread {thread}")?;
        }
        if let Some(address) = self.address {
            write!(f, ", address {address:#x}")?;
        }
        if let Some(size) = self.size {
            write!(f, ", {size} bytes")?;
        }
        if let Some(code) = self.os_error {
            write!(f, " (os error {code})")?;
        }
        Ok(())
    }
}
