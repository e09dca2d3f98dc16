//! What a process looked like at one instant, as plain data.
//!
//! A capture back end fills a [`Snapshot`]; a format encoder reads it. Neither knows the other: this crate is the
//! seam between them, so it holds no operating-system code, no file-format code and no `unsafe`.
//!
//! * [`Snapshot`] is facts only: registers, modules, the memory map, handles, texts, soft errors. It owns everything,
//!   points to nothing in the target, holds no memory contents, and serialises with a version.
//! * [`MemoryPlan`] says which target memory belongs into the dump, why, and in what order. It is a pure function of
//!   a snapshot and a [`MemoryPolicy`].
//! * [`MemorySource`] is where the bytes of the plan come from: a stopped process, an arena, a core file. Reads are
//!   partial by contract and say why they ended.
//! * [`privacy`] wraps a source so that secrets stay out of the dump.
//!
//! What it does not do: stop or read a process (`minidump-writer`), or write a file (`minidump-formats`).
#![forbid(unsafe_code)]

mod apple;
mod exception;
mod handle;
mod linux;
mod module;
mod process;
mod region;
mod snapshot;
mod soft_error;
mod system;
mod thread;
mod windows;

pub mod cpu;
pub mod memory;
pub mod privacy;

pub use apple::{AppleFacts, AppleThread, CrashInfo, FaultState, MachImage, MachSegment, SharedCache};
pub use cpu::CpuState;
pub use exception::{Crash, Exception};
pub use handle::{Handle, HandleKind};
pub use linux::{DsoDebug, LinkMap, LinuxFacts};
pub use memory::{
    BufferSource, MemoryMode, MemoryPlan, MemoryPolicy, MemorySource, PlannedRange, Purpose, ReadEnd,
    ReadOutcome, ReadRequest, StackWindow, ThreadStack, stack_window,
};
pub use module::{FileVersion, Module, ModuleId};
pub use privacy::{
    MaskedMemory, Redacted, RedactedWide, SanitizedMemory, redact_environ, redact_wide_environ,
};
pub use process::Process;
pub use region::{Protection, Region, RegionKind};
pub use snapshot::{SNAPSHOT_VERSION, Snapshot};
pub use soft_error::{SoftError, Stage};
pub use system::{Cpu, OperatingSystem, System, XsaveComponent};
pub use thread::{Thread, ThreadTimes};
pub use windows::{
    EnvironmentBlock, PeImage, TimeZone, UnloadedModule, WindowsFacts, WindowsHandle, WindowsProcessor,
    WindowsRegion, WindowsThread,
};
