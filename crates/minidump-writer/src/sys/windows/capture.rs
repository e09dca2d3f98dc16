use super::after::complete;
use super::before::Before;
use super::copied::Copied;
use super::open::{Holder, Target};
use super::session::Session;
use super::source::Source;
use super::window::Window;
use crate::snapshot::{MemoryMode, MemoryPlan, Snapshot};
use crate::{DumpOptions, Error, Pid};
use std::time::Duration;

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
    pub(super) stopped: Duration,
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
        match self.memory {
            Source::Copied(_) | Source::Cloned(_) => self.stopped,
            Source::Held(held) => held.finish(),
        }
    }

    /// As [`finish`](Self::finish); the room that the memory was copied to goes to `session`.
    pub fn finish_into(self, session: &mut Session) -> Duration {
        match self.memory {
            Source::Copied(mut copied) => {
                copied.clear();
                session.room = copied;
                self.stopped
            }
            Source::Cloned(_) => self.stopped,
            Source::Held(held) => held.finish(),
        }
    }
}

/// Captures process `pid`, or the process of thread `pid`.
///
/// # Errors
/// When the process cannot be captured at all; what is merely missing is in the snapshot's soft errors.
pub fn capture(pid: Pid, options: &DumpOptions) -> Result<Capture, Error> {
    let target = Target::open(pid, Holder::Capture)?;
    capture_target(&target, options, Holder::Capture, Copied::default())
}

/// Captures process `pid`, which the caller stops and keeps stopped.
///
/// # Errors
/// As [`capture`].
pub fn capture_stopped(pid: Pid, options: &DumpOptions) -> Result<Capture, Error> {
    let options = DumpOptions { copy_on_write: false, ..options.clone() };
    let target = Target::open(pid, Holder::Caller)?;
    capture_target(&target, &options, Holder::Caller, Copied::default())
}

/// Captures an open process. Its memory goes to `room`.
pub fn capture_target(
    target: &Target,
    options: &DumpOptions,
    holder: Holder,
    room: Copied,
) -> Result<Capture, Error> {
    let is_held_long = options.memory.mode == MemoryMode::Full && !options.copy_on_write;
    let mut before = Before::read(target, holder, is_held_long, room);
    let window = Window::run(target, &mut before, options, holder)?;
    Ok(complete(target, options, before, window))
}
