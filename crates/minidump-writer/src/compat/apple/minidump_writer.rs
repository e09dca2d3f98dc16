//! The documented entry point for macOS.

pub use super::errors;
pub use mach2::mach_types::{task_t, thread_t};

use super::tee::Tee;
use crate::mach::{CrashedThread, MachCrash, MachException, ThreadPort};
use crate::{DumpOptions, TaskDetails, dump_task};
use crash_context::CrashContext;
use errors::WriterError;
use std::io::{Seek, Write};

/// Dumps a task: say which, then [`dump`](Self::dump).
///
/// ```no_run
/// fn write_minidump(crash_context: crash_context::CrashContext) {
///     let mut writer = minidump_writer::minidump_writer::MinidumpWriter::with_crash_context(crash_context);
///     let mut minidump_file = std::fs::File::create("example_dump.mdmp").expect("failed to create file");
///     writer.dump(&mut minidump_file).expect("failed to write minidump");
/// }
/// ```
#[derive(Debug)]
pub struct MinidumpWriter {
    /// `None` for the calling process.
    task: Option<task_t>,
    /// A thread that the dump goes without.
    handler_thread: Option<thread_t>,
    crash_context: Option<CrashContext>,
}

impl MinidumpWriter {
    /// A dump of `task`, by default of the calling process, without `handler_thread`, by default with all threads. Both are
    /// ports, which stay the caller's and must be valid until the dump is written.
    #[must_use]
    pub fn new(task: Option<task_t>, handler_thread: Option<thread_t>) -> Self {
        Self { task, handler_thread, crash_context: None }
    }

    /// A dump of a crash. The crashed thread comes first, the one that handles the crash is left out.
    #[must_use]
    pub fn with_crash_context(crash_context: CrashContext) -> Self {
        Self {
            task: Some(crash_context.task),
            handler_thread: Some(crash_context.handler_thread),
            crash_context: Some(crash_context),
        }
    }

    /// Captures the task and writes the dump to `destination`, from its current position on. Returns the whole dump as well.
    ///
    /// # Errors
    /// When there is no dump: the task has gone, or `destination` fails; it then may hold the first part of a dump. What is
    /// merely missing is told in the dump.
    pub fn dump(&mut self, destination: &mut (impl Write + Seek)) -> Result<Vec<u8>, WriterError> {
        let mut details = TaskDetails::default();
        details.handler_thread = self.handler_thread.filter(|thread| *thread != 0).map(ThreadPort);
        details.crash = self.crash_context.as_ref().map(mach_crash);
        let task = self.task.unwrap_or_else(crate::sys::own_task);
        let mut output = Tee::new(destination);
        dump_task(task, &details, &DumpOptions::default(), &mut output)?;
        Ok(output.into_copy())
    }
}

fn mach_crash(context: &CrashContext) -> MachCrash {
    let exception = context.exception.map(|exception| MachException {
        kind: exception.kind,
        codes: [exception.code, exception.subcode.unwrap_or(0)],
    });
    MachCrash { thread: CrashedThread::Port(ThreadPort(context.thread)), exception, states: Vec::new() }
}
