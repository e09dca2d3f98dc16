use crate::encode::{Captured, encode};
use crate::{DumpOptions, DumpReport, Error, Pid, sys};
use minidump_formats::minidump::{FormatError, SectionWriter};
use std::io;
use std::time::{Duration, Instant};

/// Captures process `pid` and writes a dump of it, front to back, to `output`.
///
/// `pid` may also be the id of a thread, which is then blamed. The target stands still only while its threads, its
/// registers and the memory of the plan are read; everything else, the writing included, happens before or after.
/// A dump of all memory without `copy_on_write` is the exception: it is written while the target stands still, for at
/// most [`DumpOptions::hold_limit`].
///
/// # Errors
/// When there is no dump: the process cannot be captured, or `output` fails. What is merely missing from the dump is
/// in [`DumpReport::soft_errors`], and in the dump.
pub fn dump_process(
    pid: Pid,
    options: &DumpOptions,
    output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    dump_process_with(pid, options, &[], output)
}

/// As [`dump_process`], with streams of the application's own in the minidump.
///
/// # Errors
/// As [`dump_process`]; also when two sections have the same stream type.
pub fn dump_process_with(
    pid: Pid,
    options: &DumpOptions,
    sections: &[&dyn SectionWriter],
    output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    let start = Instant::now();
    let capture = sys::capture(pid, options)?;
    write(capture, options, sections, output, start, sys::Capture::finish)
}

/// Dumps process `pid`, which the caller, a debugger or a supervisor, has stopped already: the calling thread traces the
/// threads `stopped`, and each of them is in a ptrace stop (ptrace(2)). They remain in it. Threads that are not among them
/// are listed without registers. `options.copy_on_write` has no effect.
///
/// The exception of a signal that a thread is about to get is made by [`crash::from_siginfo`](crate::crash::from_siginfo).
///
/// # Errors
/// As [`dump_process`].
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub fn dump_stopped(
    pid: Pid,
    stopped: &[Pid],
    options: &DumpOptions,
    output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    let start = Instant::now();
    let capture = sys::capture_stopped(pid, stopped, options)?;
    write(capture, options, &[], output, start, sys::Capture::finish)
}

/// Dumps process `pid`, which the caller stops already and keeps stopped, as a debugger does from a debug event until it
/// continues that. `options.copy_on_write` has no effect.
///
/// The exception of an event is made by [`crash::from_debug_event`](crate::crash::from_debug_event).
///
/// # Errors
/// As [`dump_process`].
#[cfg(windows)]
pub fn dump_stopped(
    pid: Pid,
    options: &DumpOptions,
    output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    let start = Instant::now();
    let capture = sys::capture_stopped(pid, options)?;
    write(capture, options, &[], output, start, sys::Capture::finish)
}

/// Captures the task whose port is `task`, and writes a dump of it, front to back, to `output`. The port stays the caller's.
/// `details` are what the caller knows of the task besides. Whoever holds a task's port needs no other right to dump it.
///
/// # Errors
/// As [`dump_process`].
#[cfg(target_os = "macos")]
pub fn dump_task(
    task: mach2::mach_types::task_t,
    details: &sys::TaskDetails,
    options: &DumpOptions,
    output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    let start = Instant::now();
    let capture = sys::capture_task(sys::RealTask::lent(task), options, details)?;
    write(capture, options, &[], output, start, sys::Capture::finish)
}

/// Writes the dump of `capture`, which began at `start`, and lets go of the target with `finish`.
pub(crate) fn write(
    mut capture: sys::Capture,
    options: &DumpOptions,
    sections: &[&dyn SectionWriter],
    output: &mut dyn io::Write,
    start: Instant,
    finish: impl FnOnce(sys::Capture) -> Duration,
) -> Result<DumpReport, Error> {
    let pid = capture.pid();
    let is_complete = capture.is_complete();
    let captured = Captured {
        snapshot: &mut capture.snapshot,
        plan: &capture.plan,
        memory: &capture.memory,
        is_complete,
    };
    let written =
        encode(captured, options.format, options, sections, output).map_err(|error| match error {
            FormatError::Output { source } => Error::Output { source },
            source => Error::Format { pid, source },
        })?;
    let (threads, modules) = (capture.snapshot.threads.len(), capture.snapshot.modules.len());
    let mut soft_errors = std::mem::take(&mut capture.snapshot.soft_errors);
    soft_errors.extend(capture.memory.holes_note(written.hole_count, written.hole_bytes));
    let stopped = finish(capture);
    output.flush().map_err(|source| Error::Output { source })?;
    Ok(DumpReport { bytes: written.bytes, stopped, wall: start.elapsed(), threads, modules, soft_errors })
}
