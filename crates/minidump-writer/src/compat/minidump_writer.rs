//! The documented entry point for Linux and Android.

pub use super::auxv::{AuxvType, DirectAuxvDumpInfo};
pub use super::errors;

use super::app_memory::AppMemoryList;
use super::crash::from_crash_context;
use super::crash_context::CrashContext;
use super::maps_reader::MappingList;
use super::tee::Tee;
use crate::snapshot::{Crash, MemoryPolicy, Module};
use crate::{AuxvOverride, DumpOptions, Pid, dump_process};
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
    /// The process to dump.
    pub process_id: Pid,
    /// The thread to blame; 0 for that of the crash context, or the main one.
    pub blamed_thread: Pid,
    /// See [`set_minidump_size_limit`](Self::set_minidump_size_limit).
    pub minidump_size_limit: Option<u64>,
    /// See [`skip_stacks_if_mapping_unreferenced`](Self::skip_stacks_if_mapping_unreferenced).
    pub skip_stacks_if_mapping_unreferenced: bool,
    /// See [`set_principal_mapping_address`](Self::set_principal_mapping_address).
    pub principal_mapping_address: Option<usize>,
    /// See [`set_user_mapping_list`](Self::set_user_mapping_list).
    pub user_mapping_list: MappingList,
    /// See [`set_app_memory`](Self::set_app_memory).
    pub app_memory: AppMemoryList,
    /// See [`sanitize_stack`](Self::sanitize_stack).
    pub sanitize_stack: bool,
    /// See [`set_crash_context`](Self::set_crash_context).
    pub crash_context: Option<CrashContext>,
    /// See [`stop_timeout`](Self::stop_timeout).
    pub stop_timeout: Duration,
    /// See [`set_direct_auxv_dump_info`](Self::set_direct_auxv_dump_info).
    pub direct_auxv_dump_info: Option<DirectAuxvDumpInfo>,
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
            minidump_size_limit: None,
            skip_stacks_if_mapping_unreferenced: false,
            principal_mapping_address: None,
            user_mapping_list: MappingList::new(),
            app_memory: AppMemoryList::new(),
            sanitize_stack: false,
            crash_context: None,
            stop_timeout: DumpOptions::default().deadline,
            direct_auxv_dump_info: None,
        }
    }

    /// Keeps the memory of the dump within `limit` bytes: the stacks of threads that are not blamed are cut first, the
    /// end near the stack pointer always stays.
    pub fn set_minidump_size_limit(&mut self, limit: u64) -> &mut Self {
        self.minidump_size_limit = Some(limit);
        self
    }

    /// Modules that the caller knows better, for example code that it mapped itself. Each takes the place of what is
    /// found there.
    pub fn set_user_mapping_list(&mut self, user_mapping_list: MappingList) -> &mut Self {
        self.user_mapping_list = user_mapping_list;
        self
    }

    /// An address inside the principal mapping, a module or else a mapping, for
    /// [`skip_stacks_if_mapping_unreferenced`](Self::skip_stacks_if_mapping_unreferenced).
    pub fn set_principal_mapping_address(&mut self, principal_mapping_address: usize) -> &mut Self {
        self.principal_mapping_address = Some(principal_mapping_address);
        self
    }

    /// Memory to add. Parts that are not mapped are left out; the dump says which.
    pub fn set_app_memory(&mut self, app_memory: AppMemoryList) -> &mut Self {
        self.app_memory = app_memory;
        self
    }

    /// The crash, as a crash handler in the target recorded it. Without it the dump says that it was asked for.
    pub fn set_crash_context(&mut self, crash_context: CrashContext) -> &mut Self {
        self.crash_context = Some(crash_context);
        self
    }

    /// Leaves out the stacks of threads that do not refer to the principal mapping, except the blamed one's: neither
    /// the instruction pointer nor a word of the stack lies in it. Without
    /// [`set_principal_mapping_address`](Self::set_principal_mapping_address) there is nothing to refer to.
    pub fn skip_stacks_if_mapping_unreferenced(&mut self) -> &mut Self {
        self.skip_stacks_if_mapping_unreferenced = true;
        self
    }

    /// Defaces everything on the stacks but pointers and small integers.
    pub fn sanitize_stack(&mut self) -> &mut Self {
        self.sanitize_stack = true;
        self
    }

    /// How long to wait for the target to stop. Threads that have not stopped by then are dumped without registers.
    pub fn stop_timeout(&mut self, duration: Duration) -> &mut Self {
        self.stop_timeout = duration;
        self
    }

    /// Values of the auxiliary vector that the target handed over itself, for when /proc/PID/auxv cannot be read.
    pub fn set_direct_auxv_dump_info(&mut self, direct_auxv_dump_info: DirectAuxvDumpInfo) -> &mut Self {
        self.direct_auxv_dump_info = Some(direct_auxv_dump_info);
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
        let blamed_thread = u32::try_from(self.blamed_thread).ok().filter(|thread| *thread != 0);
        DumpOptions {
            blamed_thread,
            crash: self.crash(blamed_thread),
            memory: self.memory_policy(),
            sanitize: self.sanitize_stack,
            user_modules: self.user_mapping_list.iter().cloned().map(Module::from).collect(),
            auxv: self.direct_auxv_dump_info.map(AuxvOverride::from),
            deadline: self.stop_timeout,
            ..DumpOptions::default()
        }
    }

    fn crash(&self, blamed_thread: Option<u32>) -> Option<Crash> {
        let mut crash = from_crash_context(&self.crash_context.as_ref()?.inner);
        crash.exception.thread = blamed_thread.unwrap_or(crash.exception.thread);
        Some(crash)
    }

    fn memory_policy(&self) -> MemoryPolicy {
        // Size 0 stands for the whole module; nothing is at address 0.
        let principal = (self.principal_mapping_address.unwrap_or(0) as u64, 0);
        let usual = MemoryPolicy::default();
        MemoryPolicy {
            application: self
                .app_memory
                .iter()
                .map(|range| (range.ptr as u64, range.length as u64))
                .collect(),
            only_stacks_referring_to: self.skip_stacks_if_mapping_unreferenced.then_some(principal),
            budget: self.minidump_size_limit.unwrap_or(usual.budget),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests;
