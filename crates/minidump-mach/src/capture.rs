use crate::bounded::bounded;
use crate::dyld::AllImageInfos;
use crate::exception::MachCrash;
use crate::memory::TaskMemory;
use crate::own_process;
use crate::source::CapturedMemory;
use crate::suspension::Suspension;
use crate::take::{Before, images_ahead, take};
use crate::{CaptureOptions, KernReturn, MachTask};
use minidump_snapshot::{MemoryMode, MemoryPlan, Snapshot, SoftError, Stage};
use std::time::Duration;

/// How often a task is looked at again whose dyld was changing its list, and how long it may run in between.
const DYLD_TRIES: u32 = 3;
const DYLD_PAUSE: Duration = Duration::from_millis(1);

/// A captured task.
#[derive(Debug)]
pub struct Captured<'a> {
    /// All facts.
    pub snapshot: Snapshot,
    /// Which memory belongs into the dump.
    pub plan: MemoryPlan,
    /// Its bytes. With all memory, the task stands still until this is dropped or [`finish`](Self::finish) is called.
    pub memory: CapturedMemory<'a>,
    /// How long the task stood still, if it runs again.
    pub stopped: Duration,
}

impl Captured<'_> {
    /// Whether `memory` is known to hold every byte of `plan`.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.memory.holds(&self.plan)
    }

    /// Lets the task go on. Returns how long it stood still.
    pub fn finish(self) -> Duration {
        self.memory.end().unwrap_or(self.stopped)
    }
}

/// Why nothing was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// The task can neither be suspended nor tells of any thread: it has ended, or the port is not its control port.
    #[error("the task has ended or may not be captured: {0}")]
    NoTask(KernReturn),
}

/// Captures `task`: stops it, reads what belongs into a dump, and lets it go. What cannot be read is told in
/// [`Snapshot::soft_errors`].
///
/// With all memory (`MemoryMode::Full`), the task stands still for as long as the result lives. The calling process itself
/// (where [`MachTask::own_thread`] tells a thread) never does: its other threads are suspended only while nothing has to be
/// allocated, as they may hold the allocator's locks.
///
/// # Errors
/// When there is nothing to be captured.
pub fn capture<'a>(
    task: &'a dyn MachTask,
    options: &CaptureOptions,
    crash: Option<&MachCrash>,
) -> Result<Captured<'a>, CaptureError> {
    if task.own_thread().is_some() {
        return Ok(own_process::capture(task, options, crash));
    }
    let mut errors = Vec::new();
    let ahead = images_ahead(task, options);
    let (suspension, infos) = suspend(task, &mut errors);
    let images = ahead.filter(|images| images.infos == infos);
    let before = Before { images, regions: None };
    let (snapshot, planned) = take(task, before, options, crash, &mut errors);
    if snapshot.threads.is_empty()
        && let Err(error) = suspension
    {
        return Err(CaptureError::NoTask(error));
    }
    let mut stopped = Duration::ZERO;
    let suspension = suspension.ok();
    let memory = if options.memory.mode == MemoryMode::Full {
        CapturedMemory::live(planned.copied, task, suspension)
    } else {
        if let Some(suspension) = suspension {
            let (time, error) = suspension.end();
            (stopped, errors) = (time, errors.into_iter().chain(error).collect());
        }
        CapturedMemory::copied(planned.copied)
    };
    let snapshot = Snapshot { soft_errors: bounded(errors), ..snapshot };
    Ok(Captured { snapshot, plan: planned.plan, memory, stopped })
}

/// Suspends the task; again after a moment when dyld was just changing its list. Also returns what dyld then tells.
fn suspend<'a>(
    task: &'a dyn MachTask,
    errors: &mut Vec<SoftError>,
) -> (Result<Suspension<'a>, KernReturn>, Option<AllImageInfos>) {
    let mut tries = 0;
    loop {
        let suspension = Suspension::new(task).inspect_err(|error| {
            let message =
                format!("the task cannot be suspended: {error}; what was captured may not fit together");
            errors.push(SoftError::new(Stage::StopThread, message).os_error(Some(error.0)));
        });
        tries += 1;
        let infos = AllImageInfos::read(task, &TaskMemory::new(task)).ok();
        let changes = infos.as_ref().is_some_and(|infos| infos.array == 0);
        let suspension = match suspension {
            Ok(suspension) if changes && tries < DYLD_TRIES => suspension,
            result => return (result, infos),
        };
        errors.extend(suspension.end().1);
        std::thread::sleep(DYLD_PAUSE);
    }
}
