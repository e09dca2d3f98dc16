//! One back end per operating system, chosen here and nowhere else.
//!
//! Required of each back end:
//!
//! * `capture(pid: Pid, options: &DumpOptions) -> Result<Capture, Error>`: stops the process, copies the memory that
//!   the plan asks for, lets it go.
//! * `Capture { snapshot: Snapshot, plan: MemoryPlan, memory: impl MemorySource }` with `is_complete(&self) -> bool`
//!   (whether `memory` is known to hold every byte of the plan) and `finish(self) -> Duration` (lets go of what was held
//!   for the sake of `memory`; how long the target stood still), and `finish_into(self, session: &mut Session) -> Duration`,
//!   which also gives the session what may serve another capture.
//! * `Session::open(pid: Pid) -> Result<Session, Error>` with `capture(&mut self, options: &DumpOptions) ->
//!   Result<Capture, Error>`: captures of the same process, time after time.

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
#[path = "linux/mod.rs"]
mod platform;

#[cfg(target_os = "macos")]
#[path = "apple/mod.rs"]
mod platform;

#[cfg(windows)]
#[path = "windows/mod.rs"]
mod platform;

#[cfg(not(any(
    all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"),
    target_os = "macos",
    windows
)))]
#[path = "unsupported/mod.rs"]
mod platform;

#[cfg(any(
    all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"),
    target_os = "macos",
    windows
))]
mod wishes;

#[cfg(all(
    feature = "convert",
    any(target_os = "linux", target_os = "android"),
    target_arch = "x86_64"
))]
pub(crate) use platform::Dying;
/// For tests of what reads the files of a process.
#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
pub(crate) use platform::TargetFiles;
#[cfg(all(
    feature = "bench-internals",
    any(target_os = "linux", target_os = "android"),
    target_arch = "x86_64"
))]
pub use platform::bench;
/// For debuggers and handlers of crashes.
#[cfg(windows)]
pub(crate) use platform::capture_stopped;
#[cfg(windows)]
pub use platform::crash;
pub(crate) use platform::{Capture, Session, capture};
/// For the documented API of this system alone.
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub(crate) use platform::{ProcessMemory, capture_stopped};
/// For callers that have the port of a task.
#[cfg(target_os = "macos")]
pub use platform::{RealTask, TaskDetails};
#[cfg(target_os = "macos")]
pub(crate) use platform::{capture_task, own_task};
