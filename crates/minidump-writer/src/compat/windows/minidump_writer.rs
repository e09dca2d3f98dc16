//! The documented entry point for Windows.

pub use super::errors;
pub use super::minidump_type::MinidumpType;

use super::cause::{Cause, Record};
use super::context;
use super::crash_pointers::{Crash, look_at};
use super::held_thread::HeldThread;
use super::job::Job;
use super::own_thread::{self, Unfinished};
use super::process::Process;
use super::streams::{Stream, of_application, registers_missing};
use crate::UserStream;
use crash_context::CrashContext;
use errors::Error;
use std::borrow::Borrow;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::STATUS_NONCONTINUABLE_EXCEPTION;
use windows_sys::Win32::System::Threading::GetCurrentThreadId;

/// How long a new thread may take to begin.
const THREAD_PATIENCE: Duration = Duration::from_secs(3);
/// How long a thread is held by us. By then dbghelp holds all threads itself; where it does not, it may be waiting for a lock
/// that this very thread has.
const HOLD_PATIENCE: Duration = Duration::from_secs(5);

/// Dumps by the system's dumper, `MiniDumpWriteDump` of dbghelp. There is no value of this type, only its functions.
///
/// The destination is emptied first, and is empty when there is no dump. When there is one, its position is the end of it.
///
/// ```no_run
/// use minidump_writer::minidump_writer::MinidumpWriter;
///
/// fn write_minidump(crash_context: &crash_context::CrashContext) {
///     let mut minidump_file = std::fs::File::create("example_dump.mdmp").expect("failed to create file");
///     MinidumpWriter::dump_crash_context(crash_context, None, &mut minidump_file)
///         .expect("failed to write minidump");
/// }
/// ```
#[derive(Debug)]
pub enum MinidumpWriter {}

/// What a dump is to hold besides the crash, and how long it may take.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct DumpDetails<'a> {
    /// What the system's dumper is to put into it; by default [`MinidumpType::Normal`].
    pub minidump_type: MinidumpType,
    /// Streams of the application's own.
    pub user_streams: &'a [UserStream<'a>],
    /// How long to wait for dumps that came before, and for the dump; by default ten minutes. When the time is over the system's
    /// dumper cannot be stopped: it goes on writing to the file.
    pub deadline: Duration,
}

impl Default for DumpDetails<'_> {
    fn default() -> Self {
        Self { minidump_type: MinidumpType::Normal, user_streams: &[], deadline: Duration::from_secs(600) }
    }
}

impl MinidumpWriter {
    /// Dumps the calling process.
    ///
    /// The dump shows an exception with `exception_code`, by default `STATUS_NONCONTINUABLE_EXCEPTION`, on the thread
    /// `thread_id`, by default the calling one, at the place where the thread is just now. A thread other than the calling one
    /// stands while the dump is made.
    ///
    /// The dump is made by a thread of its own, which is listed in it too; Breakpad's information stream tells readers which
    /// one that is. That does not make it safe in a process that crashed: whatever lock the system's dumper needs may be held.
    /// Let another process dump that one ([`dump_crash_context`](Self::dump_crash_context)).
    ///
    /// # Errors
    /// When there is no dump: no thread of that id in this process, the destination cannot be written, the system's dumper fails.
    pub fn dump_local_context(
        exception_code: Option<i32>,
        thread_id: Option<u32>,
        minidump_type: Option<MinidumpType>,
        destination: &mut File,
    ) -> Result<(), Error> {
        Self::dump_local_context_with(exception_code, thread_id, &details(minidump_type), destination)
    }

    /// As [`dump_local_context`](Self::dump_local_context), with streams of the application's own.
    ///
    /// # Errors
    /// As [`dump_local_context`](Self::dump_local_context); also when two streams have the same type, or one that is reserved.
    pub fn dump_local_context_with(
        exception_code: Option<i32>,
        thread_id: Option<u32>,
        details: &DumpDetails<'_>,
        destination: &mut File,
    ) -> Result<(), Error> {
        let code = exception_code.unwrap_or(STATUS_NONCONTINUABLE_EXCEPTION);
        // SAFETY: no preconditions.
        let own = unsafe { GetCurrentThreadId() };
        let thread = thread_id.unwrap_or(own);
        let streams = of_application(details.user_streams)?;
        let dump = |cause| dump(Process::Own, cause, Some(thread), streams, details, destination);
        if thread != own {
            let held = Arc::new(HeldThread::open(thread, std::process::id())?);
            return dump(Cause::Thread { held, code });
        }
        context::with_own(|context| {
            dump(Cause::Copy { thread, record: Record::made_up(code, &context), context })
        })
    }

    /// Dumps the process that `crash_context` is of: the calling one or another.
    ///
    /// The exception, and the registers of the thread that it happened on, are those that the crash context's pointers lead to in
    /// the process that crashed. When these are null or lead nowhere, the dump shows an exception with the crash context's code
    /// at the place where the thread is just now; in the latter case, and when there is no such thread, the dump says so in
    /// its stream of soft errors. With neither pointers nor thread (zero) the dump shows no exception.
    ///
    /// Takes the crash context itself or a reference to it.
    ///
    /// # Errors
    /// When there is no dump: no such process, no right to read it, the destination cannot be written, the system's dumper
    /// fails.
    pub fn dump_crash_context<C: Borrow<CrashContext>>(
        crash_context: C,
        minidump_type: Option<MinidumpType>,
        destination: &mut File,
    ) -> Result<(), Error> {
        Self::dump_crash_context_with(crash_context, &details(minidump_type), destination)
    }

    /// As [`dump_crash_context`](Self::dump_crash_context), with streams of the application's own.
    ///
    /// # Errors
    /// As [`dump_crash_context`](Self::dump_crash_context); also when two streams have the same type, or one that is reserved.
    pub fn dump_crash_context_with<C: Borrow<CrashContext>>(
        crash_context: C,
        details: &DumpDetails<'_>,
        destination: &mut File,
    ) -> Result<(), Error> {
        let crash_context: &CrashContext = crash_context.borrow();
        let mut streams = of_application(details.user_streams)?;
        let process = Process::open(crash_context.process_id, details.minidump_type)?;
        let (cause, missing) = cause(crash_context, &process);
        streams.extend(missing);
        let requester = matches!(process, Process::Own).then_some(crash_context.thread_id);
        dump(process, cause, requester, streams, details, destination)
    }
}

fn details(minidump_type: Option<MinidumpType>) -> DumpDetails<'static> {
    DumpDetails { minidump_type: minidump_type.unwrap_or_default(), ..DumpDetails::default() }
}

/// What of the crash can be shown, and the stream that tells what cannot.
fn cause(crash_context: &CrashContext, process: &Process) -> (Cause, Option<Stream>) {
    let thread = crash_context.thread_id;
    let address = crash_context.exception_pointers.expose_provenance();
    let reason = match (address != 0).then(|| look_at(process, address as u64)) {
        Some(Ok(Crash::InPlace)) => {
            let in_client = matches!(process, Process::Other { .. });
            return (Cause::Pointers { thread, address, in_client }, None);
        }
        Some(Ok(Crash::Copied(record, context))) => return (Cause::Copy { thread, record, context }, None),
        Some(Err(reason)) => Some(reason),
        None if thread == 0 => return (Cause::Nothing, None),
        None => None,
    };
    let by_code_alone = reason.map(|reason| {
        let message = format!("the crash is shown by its code alone: {reason}");
        registers_missing(&message, thread, Some(address as u64))
    });
    match HeldThread::open(thread, process.pid()) {
        Ok(held) => {
            (Cause::Thread { held: Arc::new(held), code: crash_context.exception_code }, by_code_alone)
        }
        Err(error) => {
            let message = format!("the crashed thread cannot be shown: {error}");
            (Cause::Nothing, Some(registers_missing(&message, thread, None)))
        }
    }
}

fn dump(
    process: Process,
    cause: Cause,
    requester: Option<u32>,
    streams: Vec<Stream>,
    details: &DumpDetails<'_>,
    destination: &File,
) -> Result<(), Error> {
    let pid = process.pid();
    let until = far(Instant::now(), details.deadline);
    let held = match &cause {
        Cause::Thread { held, .. } => Some(Arc::clone(held)),
        _ => None,
    };
    let minidump_type = details.minidump_type;
    // The thread that makes the dump may outlast this call, so it has everything for itself.
    let destination = destination.try_clone()?;
    let job = Job { process, minidump_type, cause, requester, streams, destination, until };
    let meanwhile = || held.iter().for_each(|thread| thread.release_after(HOLD_PATIENCE));
    own_thread::run(move |place| job.run(place), THREAD_PATIENCE, until, meanwhile).unwrap_or_else(|reason| {
        held.iter().for_each(|thread| thread.release());
        let (kind, message) = match reason {
            Unfinished::Late => (io::ErrorKind::TimedOut, "did not finish in time, and may still be writing"),
            Unfinished::Lost => (io::ErrorKind::Other, "ended in the middle; please report this"),
        };
        Err(io::Error::new(kind, format!("the thread that dumps process {pid} {message}")).into())
    })
}

/// `patience` from `now` on, or a year.
fn far(now: Instant, patience: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    now.checked_add(patience.min(YEAR)).unwrap_or(now)
}
