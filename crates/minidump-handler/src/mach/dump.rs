//! The handler's dumps: of a process that has crashed, and of one that asks.

use super::Port;
use super::account::Account;
use super::exceptions::Crashed;
use super::hand_over::Received;
use crate::store::{Metadata, NewDump, Store, StoreError};
use minidump_writer::mach::{CrashedThread, MachCrash, MachException, RawState, ThreadPort};
use minidump_writer::snapshot::SoftError;
use minidump_writer::{DumpOptions, Error, TaskDetails, dump_task};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// `EXC_*` by their numbers (mach/exception_types.h).
const NAMES: [&str; 14] = [
    "",
    "EXC_BAD_ACCESS",
    "EXC_BAD_INSTRUCTION",
    "EXC_ARITHMETIC",
    "EXC_EMULATION",
    "EXC_SOFTWARE",
    "EXC_BREAKPOINT",
    "EXC_SYSCALL",
    "EXC_MACH_SYSCALL",
    "EXC_RPC_ALERT",
    "EXC_CRASH",
    "EXC_RESOURCE",
    "EXC_GUARD",
    "EXC_CORPSE_NOTIFY",
];

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// There is no place for it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be captured or written.
    #[error(transparent)]
    Dump(#[from] Error),
}

/// Dumps a process that has crashed and waits in the kernel. Returns where the dump is.
///
/// # Errors
/// There is no place for it, or it cannot be captured or written.
pub fn dump_crashed(
    process: &Received,
    crashed: &Crashed<'_>,
    options: &DumpOptions,
    store: &Store,
) -> Result<PathBuf, DumpError> {
    let thread = crashed.thread_id.map(CrashedThread::Id);
    let thread = thread.or_else(|| crashed.thread.map(|port| CrashedThread::Port(ThreadPort(port))));
    let mut codes = crashed.codes.iter().copied();
    let exception = MachException {
        kind: crashed.exception.cast_unsigned(),
        codes: [codes.next().unwrap_or(0), codes.next().unwrap_or(0)],
    };
    let states = crashed.state.map(|state| RawState { flavor: state.flavor, words: state.words.clone() });
    let crash = MachCrash {
        thread: thread.unwrap_or(CrashedThread::Id(process.account.thread_id)),
        exception: Some(exception),
        states: states.into_iter().collect(),
    };
    if crashed.is_process {
        return write(process, &process.account, Some(crash), options, store);
    }
    // Of a child only the parent's account is known, of which the versions and annotations are the child's, too, unless it runs
    // another program.
    let account = Account { executable: PathBuf::new(), ..process.account.clone() };
    write_task(crashed.task, None, &account, Some(crash), options, store)
}

/// Dumps a process whose `account` came over the pipe: of a crash that it handles itself, or for no crash at all. Returns where
/// the dump is.
///
/// # Errors
/// As [`dump_crashed`].
pub fn dump_on_demand(
    process: &Received,
    account: &Account,
    options: &DumpOptions,
    store: &Store,
) -> Result<PathBuf, DumpError> {
    let exception = account.exception.as_ref().map(|(kind, codes)| {
        let mut codes = codes.iter().copied();
        let codes = [codes.next().unwrap_or(0), codes.next().unwrap_or(0)];
        MachException { kind: kind.cast_unsigned(), codes }
    });
    let states = account.states.iter();
    let states = states.map(|state| RawState { flavor: state.flavor, words: state.words.clone() });
    let crash =
        MachCrash { thread: CrashedThread::Id(account.thread_id), exception, states: states.collect() };
    // With nothing known, the dump is about the main thread, and not about one that there is not.
    let is_known = account.thread_id != 0 || crash.exception.is_some() || !crash.states.is_empty();
    write(process, account, is_known.then_some(crash), options, store)
}

fn write(
    process: &Received,
    account: &Account,
    crash: Option<MachCrash>,
    options: &DumpOptions,
    store: &Store,
) -> Result<PathBuf, DumpError> {
    write_task(process.task.port(), Some(process.sender.pid), account, crash, options, store)
}

fn write_task(
    task: Port,
    pid: Option<i32>,
    account: &Account,
    crash: Option<MachCrash>,
    options: &DumpOptions,
    store: &Store,
) -> Result<PathBuf, DumpError> {
    let mut options = options.clone();
    options.annotations.extend(account.annotations.iter().cloned());
    if let Some(reason) = &account.reason {
        options.annotations.push(("reason".into(), reason.clone()));
    }
    let mut metadata = metadata(pid, account, crash.as_ref(), &options);
    let mut dump = store.begin_with(&metadata)?;
    let mut details = TaskDetails::default();
    details.executable =
        Some(account.executable.as_os_str().as_bytes().to_vec()).filter(|path| !path.is_empty());
    details.bundle_version = Some(account.bundle_version.clone()).filter(|version| !version.is_empty());
    details.crash = crash;
    match dump_task(task, &details, &options, &mut dump) {
        Ok(report) => {
            report.soft_errors.iter().for_each(|error: &SoftError| metadata.note(error));
            Ok(dump.commit(&metadata)?.dump)
        }
        // What there is of it begins with the crash.
        Err(Error::Output { .. }) if NewDump::written(&dump) > 0 => Ok(dump.commit_partial(&metadata)?.dump),
        Err(error) => Err(error.into()),
    }
}

fn metadata(
    pid: Option<i32>,
    account: &Account,
    crash: Option<&MachCrash>,
    options: &DumpOptions,
) -> Metadata {
    let executable = account.executable.to_string_lossy().into_owned();
    let mut metadata = Metadata::now(if executable.is_empty() { "child" } else { &executable });
    metadata.executable = executable;
    metadata.pid = pid.and_then(|pid| u32::try_from(pid).ok());
    metadata.source = "handler".into();
    metadata.annotations = options.annotations.iter().cloned().collect();
    metadata.reason = match crash.and_then(|crash| crash.exception) {
        Some(exception) => {
            let [first, second] = exception.codes;
            let number = usize::try_from(exception.kind).ok().and_then(|kind| NAMES.get(kind));
            let name = number
                .filter(|name| !name.is_empty())
                .map_or_else(|| format!("exception {}", exception.kind), |name| (*name).to_owned());
            format!("{name}, codes {first:#x} and {second:#x}")
        }
        None => account.reason.as_ref().map_or_else(|| "asked for".into(), |why| format!("asked for: {why}")),
    };
    metadata
}
