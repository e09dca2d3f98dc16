use crate::{KernReturn, MachTask};
use minidump_snapshot::{SoftError, Stage};
use std::fmt;
use std::time::{Duration, Instant};

/// How often resuming is tried, should it fail.
const RESUME_TRIES: usize = 4;

/// A task that stands still. It is resumed when this is dropped, whatever happened.
pub struct Suspension<'a> {
    task: &'a dyn MachTask,
    since: Instant,
    holds: bool,
}

impl fmt::Debug for Suspension<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspension").field("holds", &self.holds).finish_non_exhaustive()
    }
}

impl<'a> Suspension<'a> {
    /// Suspends `task`.
    pub fn new(task: &'a dyn MachTask) -> Result<Self, KernReturn> {
        let since = Instant::now();
        task.suspend()?;
        Ok(Self { task, since, holds: true })
    }

    /// Resumes the task. Returns how long it stood, and why it could not be resumed.
    pub fn end(mut self) -> (Duration, Option<SoftError>) {
        let error = self.resume();
        (self.since.elapsed(), error)
    }

    fn resume(&mut self) -> Option<SoftError> {
        if !std::mem::take(&mut self.holds) {
            return None;
        }
        let error = resumed(|| self.task.resume())?;
        let message = format!("the task could not be resumed: {error}");
        Some(SoftError::new(Stage::StopThread, message).os_error(Some(error.0)))
    }
}

impl Drop for Suspension<'_> {
    fn drop(&mut self) {
        self.resume();
    }
}

/// Calls `resume` until it succeeds, a few times at most. What has ended needs no resuming.
pub fn resumed(resume: impl Fn() -> Result<(), KernReturn>) -> Option<KernReturn> {
    let mut last = None;
    for _ in 0..RESUME_TRIES {
        match resume() {
            Ok(()) | Err(KernReturn::INVALID_DESTINATION | KernReturn::TERMINATED) => return None,
            Err(error) => last = Some(error),
        }
    }
    last
}
