use crate::Pid;
use minidump_formats::minidump::FormatError;
use std::path::PathBuf;

/// What [`Error::UnsupportedProgram`] says of this build.
const DUMPED: &str = if cfg!(target_pointer_width = "64") { "64-bit x86" } else { "32-bit" };

/// Why there is no dump. Everything that merely is missing from a dump is a
/// [`SoftError`](crate::snapshot::SoftError) instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Process ids are positive.
    #[error("{pid} is not a process id; ids are positive numbers")]
    InvalidPid {
        /// The id asked for.
        pid: Pid,
    },
    /// There is no process with this id.
    #[error("there is no process {pid}")]
    NoSuchProcess {
        /// The id asked for.
        pid: Pid,
    },
    /// A process cannot make itself stand still.
    #[error("process {pid} is this program itself, which it cannot stop; dump it from another process")]
    OwnProcess {
        /// The id asked for.
        pid: Pid,
    },
    /// What a process handed over as its EXCEPTION_POINTERS (Windows) is not that.
    #[error("process {pid} has no exception pointers at {address:#x}: {what}")]
    ExceptionPointers {
        /// The process.
        pid: Pid,
        /// The address it told.
        address: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The process is a thread of the kernel.
    #[error("process {pid} ({name}) is a kernel thread; it has no memory of its own to dump")]
    KernelThread {
        /// The id asked for.
        pid: Pid,
        /// Its name.
        name: String,
    },
    /// The process has exited and waits for its parent to notice.
    #[error(
        "process {pid} is a zombie: it has exited and has no memory left to dump; its parent has yet to reap it"
    )]
    Zombie {
        /// The id asked for.
        pid: Pid,
    },
    /// Linux allows one tracer a process.
    #[error(
        "process {pid} is already being traced by process {tracer} ({name}); detach that debugger or tracer first"
    )]
    AlreadyTraced {
        /// The process asked for.
        pid: Pid,
        /// Who traces it.
        tracer: u32,
        /// The tracer's name.
        name: String,
    },
    /// The system does not let this program trace the process.
    #[error("no permission to trace process {pid}: {reason}")]
    PermissionDenied {
        /// The process asked for.
        pid: Pid,
        /// Why, and what to do about it.
        reason: String,
    },
    /// The process ended before it could be captured.
    #[error("process {pid} exited before it could be captured")]
    TargetGone {
        /// The process asked for.
        pid: Pid,
    },
    /// This build cannot dump programs of this kind.
    #[error("process {pid} is a {what} program; this build dumps {} programs", DUMPED)]
    UnsupportedProgram {
        /// The process asked for.
        pid: Pid,
        /// What it is.
        what: &'static str,
    },
    /// The process could not be stopped.
    #[error("process {pid} could not be stopped: {source}")]
    Stop {
        /// The process asked for.
        pid: Pid,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file of /proc without which there is no dump could not be read.
    #[error("{} could not be read: {source}", path.display())]
    ProcFile {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The dumper ran out of memory.
    #[error("no memory for the copy of process {pid}: {source}")]
    Memory {
        /// The process asked for.
        pid: Pid,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The capturing thread ended early. The target runs on; this is a bug.
    #[error("capturing process {pid} failed inside this program; the process runs on. Please report this")]
    Internal {
        /// The process asked for.
        pid: Pid,
    },
    /// The snapshot does not fit the format.
    #[error("the dump of process {pid} could not be laid out: {source}")]
    Format {
        /// The process asked for.
        pid: Pid,
        /// Why.
        #[source]
        source: FormatError,
    },
    /// The destination refused the dump.
    #[error("the dump could not be written: {source}")]
    Output {
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// The process cannot be copied safely.
    #[error("process {pid} cannot be copied for a copy-on-write dump: {reason}")]
    CopyRefused {
        /// The process asked for.
        pid: Pid,
        /// Why.
        reason: String,
    },
    /// The helper process of a local dump could not be made.
    #[error("the helper process that dumps this one could not be made: {source}")]
    LocalHelper {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The helper process of a local dump failed.
    #[error("this process could not be dumped: {reason}")]
    LocalDump {
        /// Why.
        reason: String,
    },
    /// There is no back end for this operating system and processor.
    #[error("this build cannot dump processes: there is no back end for {system} on {processor}")]
    Unsupported {
        /// `std::env::consts::OS`
        system: &'static str,
        /// `std::env::consts::ARCH`
        processor: &'static str,
    },
}
