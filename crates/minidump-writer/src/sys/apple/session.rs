use super::capture::{Capture, capture_task};
use super::open;
use super::request::TaskDetails;
use crate::{DumpOptions, Error, Pid};
use minidump_mach::MachTask;

/// One process, captured time after time.
#[derive(Debug)]
pub struct Session {
    pid: Pid,
    /// When it started, which tells it from another one with the same id.
    start_us: Option<u64>,
}

impl Session {
    /// A session with process `pid`, of which nothing is held open.
    pub fn open(pid: Pid) -> Result<Self, Error> {
        let start_us = open::task(pid)?.process_facts().map(|facts| facts.start_us);
        Ok(Self { pid, start_us })
    }

    /// Captures the process as it is now.
    pub fn capture(&mut self, options: &DumpOptions) -> Result<Capture, Error> {
        let pid = self.pid;
        let task = open::task(pid).map_err(|error| match error {
            Error::NoSuchProcess { pid } => Error::TargetGone { pid },
            other => other,
        })?;
        if task.process_facts().map(|facts| facts.start_us) != self.start_us {
            return Err(Error::TargetGone { pid });
        }
        capture_task(task, options, &TaskDetails::default())
    }
}
