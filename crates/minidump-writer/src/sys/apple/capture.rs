use super::memory::TaskMemory;
use super::open;
use super::request::{TaskDetails, capture_options, mach_crash};
use super::session::Session;
use super::task::RealTask;
use crate::snapshot::{Crash, MemoryMode, MemoryPlan, Snapshot};
use crate::sys::wishes;
use crate::{DumpOptions, Error, Pid};
use minidump_mach::{CaptureError, MachTask};
use std::time::Duration;

/// A captured task.
#[derive(Debug)]
pub struct Capture {
    /// Facts.
    pub snapshot: Snapshot,
    /// Memory that belongs into the dump.
    pub plan: MemoryPlan,
    /// Its bytes.
    pub memory: TaskMemory,
    is_complete: bool,
}

impl Capture {
    /// Whether `memory` holds every byte of `plan`.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Lets go of what was held for the sake of `memory`. Returns how long the target stood still.
    pub fn finish(self) -> Duration {
        self.memory.finish()
    }

    /// As [`finish`](Self::finish): nothing of it serves another capture.
    pub fn finish_into(self, _session: &mut Session) -> Duration {
        self.finish()
    }

    /// The captured process.
    pub fn pid(&self) -> Pid {
        Pid::try_from(self.snapshot.process.pid).unwrap_or_default()
    }
}

/// Captures process `pid`.
pub fn capture(pid: Pid, options: &DumpOptions) -> Result<Capture, Error> {
    capture_task(open::task(pid)?, options, &TaskDetails::default())
}

/// Captures a task whose port is held.
pub fn capture_task(task: RealTask, options: &DumpOptions, details: &TaskDetails) -> Result<Capture, Error> {
    let pid = task.pid();
    let wanted = capture_options(pid, options, details)?;
    let crash = details.crash.clone().or_else(|| options.crash.as_ref().map(mach_crash));
    let limit = (options.memory.mode == MemoryMode::Full).then_some(options.hold_limit);
    let captured =
        TaskMemory::capture(task, limit, |task| minidump_mach::capture(task, &wanted, crash.as_ref()));
    let (mut snapshot, plan, is_complete, memory) =
        captured.map_err(|CaptureError::NoTask(_)| Error::TargetGone { pid })?;
    if details.crash.is_none()
        && let Some(crash) = &options.crash
    {
        as_recorded(&mut snapshot, crash);
    }
    let modules = std::mem::take(&mut snapshot.modules);
    snapshot.modules = wishes::with_user_modules(modules, &options.user_modules);
    snapshot.annotations.clone_from(&options.annotations);
    let plan = wishes::plan(plan, &options.memory, &mut snapshot, &memory);
    Ok(Capture { snapshot, plan, memory, is_complete })
}

/// Puts the exception and the registers as the caller has them in place of what was made of them for the capture.
fn as_recorded(snapshot: &mut Snapshot, crash: &Crash) {
    snapshot.exception = Some(crash.exception.clone());
    let crashed = snapshot.threads.iter_mut().find(|thread| thread.id == crash.exception.thread);
    if let Some((thread, cpu)) = crashed.zip(crash.cpu.clone()) {
        thread.cpu = Some(cpu);
    }
}
