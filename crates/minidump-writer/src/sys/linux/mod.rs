//! Linux and Android through ptrace.
//!
//! [`capture`] goes through three phases. *Before* the stop it reads what does not change, so that little is left for
//! the time the target stands still. In the *window* it stops all threads, reads registers and the memory map, plans
//! and copies memory, and lets the target go. *After*wards it reads names and handles and puts the snapshot together.
//!
//! The window runs on a thread of its own. Whatever happens to that thread, its end makes the kernel let go of every
//! tracee, even of those that could not be stopped and so could not be detached.

mod after;
mod arena;
mod before;
#[cfg(feature = "bench-internals")]
pub mod bench;
mod blame;
mod cow;
#[cfg(feature = "convert")]
mod dying;
mod expected;
mod handles;
mod hold;
mod kept;
mod memory;
mod pauses;
mod plain_thread;
mod proc_fs;
mod ptrace;
mod registers;
mod seize_watch;
mod smaps;
mod source;
mod stopped_threads;
mod system;
mod target;
mod target_files;
mod task_list;
mod thread_facts;
mod tracees;
mod tracer;
mod window;

use crate::linux_process::{auxv, loader, maps, modules};
use crate::snapshot::{MemoryPlan, Snapshot};
use crate::{DumpOptions, Error, Pid};
use before::Before;
#[cfg(feature = "convert")]
pub use dying::Dying;
use kept::Kept;
pub use memory::ProcessMemory;
use source::Source;
use std::time::Duration;
use target::Target;
#[cfg(test)]
pub use target_files::TargetFiles;
use tracer::Tracer;

/// A process, captured.
#[derive(Debug)]
pub struct Capture {
    /// Facts.
    pub snapshot: Snapshot,
    /// Memory that belongs into the dump.
    pub plan: MemoryPlan,
    /// Its bytes.
    pub memory: Source,
    /// How long the target stood still, if it runs again.
    stopped: Duration,
    tracer: Tracer,
    kept: Option<Kept>,
}

impl Capture {
    /// Whether `memory` is known to hold every byte of `plan`.
    pub fn is_complete(&self) -> bool {
        self.memory.holds(&self.plan)
    }

    /// The captured process.
    pub fn pid(&self) -> Pid {
        Pid::try_from(self.snapshot.process.pid).unwrap_or_default()
    }

    /// Lets go of what was held for the sake of `memory`. Returns how long the target stood still.
    pub fn finish(self) -> Duration {
        self.tracer.finish().unwrap_or(self.stopped)
    }

    /// As [`finish`](Self::finish); what may serve another capture goes back to `session`.
    pub fn finish_into(mut self, session: &mut Session) -> Duration {
        session.kept = self.kept.take().map(|kept| Kept { arena: Some(self.memory.into_arena()), ..kept });
        self.tracer.finish().unwrap_or(self.stopped)
    }
}

/// Captures of one process, time after time.
#[derive(Debug)]
pub struct Session {
    /// The process or thread that was asked for.
    pid: Pid,
    /// When the process started, in ticks since the machine did: tells it from a later one with the same id.
    start: u64,
    kept: Option<Kept>,
}

impl Session {
    /// A session for process `pid`, or the process of thread `pid`.
    ///
    /// # Errors
    /// When the process cannot be captured at all.
    pub fn open(pid: Pid) -> Result<Self, Error> {
        Ok(Self { pid, start: Target::examine(pid)?.stat.start, kept: None })
    }

    /// Captures the process as it is now.
    ///
    /// # Errors
    /// As [`capture`]; also when the process is another one with the same id.
    pub fn capture(&mut self, options: &DumpOptions) -> Result<Capture, Error> {
        let target = Target::examine(self.pid)?;
        if target.stat.start != self.start {
            return Err(Error::TargetGone { pid: self.pid });
        }
        capture_target(&target, options, self.kept.take(), true)
    }
}

/// Captures process `pid`, or the process of thread `pid`.
///
/// # Errors
/// When the process cannot be captured at all; what is merely missing is in the snapshot's soft errors.
pub fn capture(pid: Pid, options: &DumpOptions) -> Result<Capture, Error> {
    capture_target(&Target::examine(pid)?, options, None, false)
}

/// Captures process `pid`, all of whose threads stand still: the calling thread traces those of `stopped`.
///
/// # Errors
/// As [`capture`].
pub fn capture_stopped(pid: Pid, stopped: &[Pid], options: &DumpOptions) -> Result<Capture, Error> {
    let target = Target::examine_stopped(pid, stopped)?;
    let options = DumpOptions { copy_on_write: false, ..options.clone() };
    let before = Before::read(&target, &options, None)?;
    let (before, window, tracer) = Tracer::of_stopped(&target, before, &options, stopped)?;
    Ok(after::complete(&target, &options, before, window, tracer, false))
}

fn capture_target(
    target: &Target,
    options: &DumpOptions,
    kept: Option<Kept>,
    keep: bool,
) -> Result<Capture, Error> {
    let before = Before::read(target, options, kept)?;
    let (before, window, tracer) = Tracer::start(target, before, options)?;
    Ok(after::complete(target, options, before, window, tracer, keep))
}
