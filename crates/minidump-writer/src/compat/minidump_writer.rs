//! The documented entry point for Linux and Android.

pub use super::auxv::{AuxvType, DirectAuxvDumpInfo};
pub use super::errors;

use super::app_memory::AppMemoryList;
use super::crash::from_crash_context;
use super::crash_context::CrashContext;
use super::maps_reader::MappingList;
use super::tee::Tee;
use crate::snapshot::Module;
use crate::{DumpOptions, Pid, dump_process};
use errors::{InitError, WriterError};
use std::io::{Seek, Write};
use std::time::Duration;

/// How long the published crate waits for the target to stop when [`stop_timeout`](MinidumpWriter::stop_timeout) is
/// not called. This one then waits for [`DumpOptions::deadline`], because a thread that is given up loses its
/// registers.
pub const STOP_TIMEOUT: Duration = Duration::from_millis(100);

/// Dumps a process: say which, say how, then [`dump`](Self::dump).
///
/// ```no_run
/// fn write_minidump(crash_context: crash_context::CrashContext) {
///     let mut writer =
///         minidump_writer::minidump_writer::MinidumpWriter::new(crash_context.pid, crash_context.tid);
///     writer.set_crash_context(minidump_writer::crash_context::CrashContext { inner: crash_context });
///     let mut minidump_file = std::fs::File::create("example_dump.mdmp").expect("failed to create file");
///     writer.dump(&mut minidump_file).expect("failed to write minidump");
/// }
/// ```
#[derive(Debug, Clone)]
pub struct MinidumpWriter {
    process_id: Pid,
    blamed_thread: Pid,
    principal_mapping_address: Option<usize>,
    skip_unreferencing_stacks: bool,
    options: DumpOptions,
}

/// [`MinidumpWriter`] under the name that it has since version 0.11.
pub type MinidumpWriterConfig = MinidumpWriter;

impl MinidumpWriter {
    /// A dump of `process` which blames the thread `blamed_thread`: it comes first, and a crash context is its.
    #[must_use]
    pub fn new(process: Pid, blamed_thread: Pid) -> Self {
        Self {
            process_id: process,
            blamed_thread,
            principal_mapping_address: None,
            skip_unreferencing_stacks: false,
            options: DumpOptions::default(),
        }
    }

    /// Keeps the memory of the dump within `limit` bytes: the stacks of threads that are not blamed are cut first, the
    /// end near the stack pointer always stays.
    pub fn set_minidump_size_limit(&mut self, limit: u64) -> &mut Self {
        self.options.memory.budget = limit;
        self
    }

    /// Modules that the caller knows better, for example code that it mapped itself. Each takes the place of what is
    /// found there.
    pub fn set_user_mapping_list(&mut self, user_mapping_list: MappingList) -> &mut Self {
        self.options.user_modules = user_mapping_list.into_iter().map(Module::from).collect();
        self
    }

    /// An address inside the module for
    /// [`skip_stacks_if_mapping_unreferenced`](Self::skip_stacks_if_mapping_unreferenced).
    pub fn set_principal_mapping_address(&mut self, principal_mapping_address: usize) -> &mut Self {
        self.principal_mapping_address = Some(principal_mapping_address);
        self
    }

    /// Memory to add. Parts that are not mapped are left out; the dump says which.
    pub fn set_app_memory(&mut self, app_memory: AppMemoryList) -> &mut Self {
        let range = |range: super::app_memory::AppMemory| (range.ptr as u64, range.length as u64);
        self.options.memory.application = app_memory.into_iter().map(range).collect();
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "the documented signature")]
    /// The crash, as a crash handler in the target recorded it. Without it the dump says that it was asked for.
    pub fn set_crash_context(&mut self, crash_context: CrashContext) -> &mut Self {
        self.options.crash = Some(from_crash_context(&crash_context.inner));
        self
    }

    /// Leaves out the stacks of threads that do not refer to the principal mapping, except the blamed one's. Means
    /// nothing without [`set_principal_mapping_address`](Self::set_principal_mapping_address).
    pub fn skip_stacks_if_mapping_unreferenced(&mut self) -> &mut Self {
        self.skip_unreferencing_stacks = true;
        self
    }

    /// Defaces everything on the stacks but pointers and small integers.
    pub fn sanitize_stack(&mut self) -> &mut Self {
        self.options.sanitize = true;
        self
    }

    /// How long to wait for the target to stop. Threads that have not stopped by then are dumped without registers.
    pub fn stop_timeout(&mut self, duration: Duration) -> &mut Self {
        self.options.deadline = duration;
        self
    }

    /// Values of the auxiliary vector that the target handed over itself, for when /proc/PID/auxv cannot be read.
    pub fn set_direct_auxv_dump_info(&mut self, direct_auxv_dump_info: DirectAuxvDumpInfo) -> &mut Self {
        self.options.auxv = Some(direct_auxv_dump_info.into());
        self
    }

    /// Captures the process and writes the dump to `destination`, from its current position on. Returns the whole dump
    /// as well.
    ///
    /// # Errors
    /// When there is no dump: the process cannot be captured, or `destination` fails; it then may hold the first part
    /// of a dump. What is merely missing is told in the dump.
    pub fn dump(&mut self, destination: &mut (impl Write + Seek)) -> Result<Vec<u8>, WriterError> {
        if u32::try_from(self.process_id) == Ok(std::process::id()) {
            return Err(InitError::CannotPtraceSameProcess(self.process_id).into());
        }
        let mut output = Tee::new(destination);
        dump_process(self.process_id, &self.dump_options(), &mut output)?;
        Ok(output.into_copy())
    }

    /// [`dump`](Self::dump) under the name that it has since version 0.11.
    ///
    /// # Errors
    /// As there.
    pub fn write(mut self, destination: &mut (impl Write + Seek)) -> Result<Vec<u8>, WriterError> {
        self.dump(destination)
    }

    fn dump_options(&self) -> DumpOptions {
        let mut options = self.options.clone();
        options.blamed_thread = u32::try_from(self.blamed_thread).ok().filter(|thread| *thread != 0);
        if let (Some(crash), Some(thread)) = (&mut options.crash, options.blamed_thread) {
            crash.exception.thread = thread;
        }
        if self.skip_unreferencing_stacks {
            options.memory.only_stacks_referring_to =
                self.principal_mapping_address.map(|address| (address as u64, 1));
        }
        options
    }
}

#[cfg(test)]
mod tests;
