//! A process that an exception is about to end.

use minidump_writer::snapshot::{Crash, Exception};
use minidump_writer::{DumpOptions, DumpReport, Error, Pid, crash, dump_stopped};
use std::io::Write;
use std::path::{Path, PathBuf};
use windows_sys::Win32::System::Diagnostics::Debug::EXCEPTION_RECORD;

/// The death of a process that is about to come.
#[derive(Debug, Clone)]
pub struct Death {
    /// The process.
    pub pid: u32,
    /// The thread that crashed.
    pub tid: u32,
    /// Whether that is the thread that the process began with.
    pub is_in_first_thread: bool,
    /// Why: its code is a status of the system (ntstatus.h), or what the program has raised.
    pub exception: Exception,
}

impl Death {
    /// The death by an exception that the program does not handle.
    pub(super) fn by_exception(pid: u32, tid: u32, record: &EXCEPTION_RECORD) -> Self {
        let exception = crash::from_debug_event(tid, record).exception;
        Self { pid, tid, is_in_first_thread: false, exception }
    }
}

/// A process that stands still because it is about to die.
#[derive(Debug)]
pub struct Crashed<'s> {
    death: &'s Death,
    executable: Option<PathBuf>,
}

impl<'s> Crashed<'s> {
    pub(super) fn new(death: &'s Death, executable: Option<PathBuf>) -> Self {
        Self { death, executable }
    }

    /// What is known of its death.
    #[must_use]
    pub fn death(&self) -> &Death {
        self.death
    }

    /// Its name: that of the file of its program.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.executable.as_deref().and_then(Path::file_name);
        name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Its program.
    #[must_use]
    pub fn executable(&self) -> Option<PathBuf> {
        self.executable.clone()
    }

    /// Writes a dump of it. Options that choose the crash or the thread are overruled.
    ///
    /// # Errors
    /// As [`dump_stopped`].
    pub fn dump(&self, options: &DumpOptions, output: &mut dyn Write) -> Result<DumpReport, Error> {
        let mut options = options.clone();
        options.crash = Some(Crash { exception: self.death.exception.clone(), cpu: None });
        options.blamed_thread = None;
        // Ids of processes are small multiples of 4; one that is no `Pid` is none.
        dump_stopped(Pid::try_from(self.death.pid).unwrap_or(Pid::MAX), &options, output)
    }
}
