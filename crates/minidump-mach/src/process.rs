use crate::image::Image;
use crate::{CaptureOptions, MachTask, TaskFlavor};
use minidump_snapshot::{Process, SoftError, Stage};

/// The process as a whole. `main` is its executable.
pub fn process(
    task: &dyn MachTask,
    main: Option<&Image>,
    options: &CaptureOptions,
    errors: &mut Vec<SoftError>,
) -> Process {
    let pid = u32::try_from(task.pid()).unwrap_or_default();
    let facts = task.process_facts();
    for (known, what) in [(pid != 0, "the id"), (facts.is_some(), "start, parent and user")] {
        if !known {
            errors.push(SoftError::new(
                Stage::Target,
                format!("the kernel does not tell {what} of the process"),
            ));
        }
    }
    let executable = main.map(|image| image.path.clone()).filter(|path| !path.is_empty());
    let times = times(task, errors);
    Process {
        pid,
        parent_pid: facts.map(|facts| facts.parent_pid),
        uid: facts.map(|facts| facts.uid),
        executable: executable.or_else(|| options.executable.clone()),
        start_time_us: facts.map(|facts| facts.start_us).filter(|time| *time != 0),
        user_time_us: times.map(|(user, _)| user),
        kernel_time_us: times.map(|(_, kernel)| kernel),
    }
}

/// Times in user mode and in the kernel, in microseconds: of the threads that have ended and of those that live.
fn times(task: &dyn MachTask, errors: &mut Vec<SoftError>) -> Option<(u64, u64)> {
    let mut read = |flavor: TaskFlavor, count: usize, first: usize| {
        let mut words = [0; 12];
        let came = task.task_info(flavor, words.get_mut(..count)?);
        let came = came.map_err(|error| {
            let message = format!("the times of the process are unknown: {error}");
            errors.push(SoftError::new(Stage::Target, message).os_error(Some(error.0)));
        });
        let words = words.get(..came.ok()?)?;
        let time = |at: usize| {
            let seconds = u64::from(*words.get(at)?);
            Some(seconds.saturating_mul(1_000_000).saturating_add(u64::from(*words.get(at.checked_add(1)?)?)))
        };
        Some((time(first)?, time(first.checked_add(2)?)?))
    };
    let ended = read(TaskFlavor::Basic, 12, 6)?;
    let live = read(TaskFlavor::ThreadTimes, 4, 0)?;
    Some((ended.0.saturating_add(live.0), ended.1.saturating_add(live.1)))
}
