use super::capture::{Capture, capture_target};
use super::copied::Copied;
use super::open::{Holder, Target};
use crate::{DumpOptions, Error, Pid};

/// One process, captured time after time.
#[derive(Debug)]
pub struct Session {
    /// The process or thread that was asked for.
    pid: Pid,
    /// When the process started, which tells it from a later one with the same id.
    start_us: u64,
    /// Where the memory of the last capture was.
    pub(super) room: Copied,
}

impl Session {
    /// A session for process `pid`, or the process of thread `pid`, of which nothing is held open.
    ///
    /// # Errors
    /// When the process cannot be captured at all.
    pub fn open(pid: Pid) -> Result<Self, Error> {
        let start_us = Target::open(pid, Holder::Capture)?.times.start_us;
        Ok(Self { pid, start_us, room: Copied::default() })
    }

    /// Captures the process as it is now.
    ///
    /// # Errors
    /// As [`capture`](super::capture::capture); also when the process is another one with the same id.
    pub fn capture(&mut self, options: &DumpOptions) -> Result<Capture, Error> {
        let pid = self.pid;
        let target = Target::open(pid, Holder::Capture).map_err(|error| match error {
            Error::NoSuchProcess { pid } => Error::TargetGone { pid },
            other => other,
        })?;
        if target.times.start_us != self.start_us {
            return Err(Error::TargetGone { pid });
        }
        capture_target(&target, options, Holder::Capture, std::mem::take(&mut self.room))
    }
}
