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
mod auxv;
mod before;
mod cow;
mod handles;
mod hold;
mod loader;
mod maps;
mod memory;
mod modules;
#[cfg(feature = "convert")]
pub mod offline;
mod plain_thread;
mod proc_fs;
mod ptrace;
mod registers;
mod smaps;
mod source;
mod system;
mod target;
mod target_files;
mod task_list;
mod thread_facts;
mod tracees;
mod tracer;
mod window;

use crate::snapshot::{MemoryPlan, Snapshot};
use crate::{DumpOptions, Error, Pid};
use before::Before;
pub use memory::ProcessMemory;
use source::Source;
use std::time::Duration;
use target::Target;
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
}

impl Capture {
    /// Whether `memory` is known to hold every byte of `plan`.
    pub fn is_complete(&self) -> bool {
        self.memory.holds(&self.plan)
    }

    /// Lets go of what was held for the sake of `memory`. Returns how long the target stood still.
    pub fn finish(self) -> Duration {
        self.tracer.finish().unwrap_or(self.stopped)
    }
}

/// Captures process `pid`, or the process of thread `pid`.
///
/// # Errors
/// When the process cannot be captured at all; what is merely missing is in the snapshot's soft errors.
pub fn capture(pid: Pid, options: &DumpOptions) -> Result<Capture, Error> {
    let target = Target::examine(pid)?;
    let before = Before::read(&target, options)?;
    let (before, window, tracer) = Tracer::start(&target, before, options)?;
    Ok(after::complete(&target, options, before, window, tracer))
}
