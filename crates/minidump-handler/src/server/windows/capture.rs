//! One request: from the account of a crash to a dump that is kept.

use super::attachments;
use super::peer::Peer;
use crate::protocol::windows::{Account, ExceptionAt};
use crate::protocol::{ReplyKind, RequestKind};
use crate::store::{Metadata, NewDump, Store, StoreError};
use crate::windows::security;
use minidump_writer::snapshot::{Crash, Exception, SoftError, Stage};
use minidump_writer::{DumpOptions, Error, Pid, SectionWriter, dump_process_with};
use std::path::{Path, PathBuf};

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not known whom the request is about.
    #[error("thread {0} is none of the program's")]
    NoSuchThread(u32),
    /// It is no process that can be dumped.
    #[error("process {0} has an id beyond those that can be dumped")]
    Id(u32),
    /// There is no place for it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be captured or written.
    #[error(transparent)]
    Dump(#[from] Error),
}

impl Refusal {
    /// How it is put to the program.
    pub fn kind(&self) -> ReplyKind {
        match self {
            Self::Store(StoreError::Damped { .. }) => ReplyKind::Declined,
            _ => ReplyKind::Failed,
        }
    }
}

/// A dump that was taken for a program.
#[derive(Debug)]
pub struct Taken {
    pub id: crate::store::Id,
    pub path: PathBuf,
    pub metadata: Metadata,
}

/// Dumps the program, whose process stays the same as long as `peer` is open.
pub fn capture(
    account: &Account,
    peer: &Peer,
    options: &DumpOptions,
    store: &Store,
) -> Result<Taken, Refusal> {
    let pid = Pid::try_from(peer.pid).map_err(|_| Refusal::Id(peer.pid))?;
    if !peer.has_thread(account.thread) {
        return Err(Refusal::NoSuchThread(account.thread));
    }
    let mut errors = Vec::new();
    let options = options_of(account, pid, options, &mut errors);
    let mut metadata = metadata_of(account, peer, &options);
    let dump = store.begin_with(&metadata)?;
    let is_own = matches!((peer.user(), security::own_user()), (Ok(theirs), Ok(own)) if theirs == own);
    let attached = attachments::read(&account.attachments, is_own, &mut errors);
    let sections: Vec<&dyn SectionWriter> =
        attached.iter().map(|attachment| attachment as &dyn SectionWriter).collect();
    errors.iter().for_each(|error| metadata.note(error));
    let id = dump.id();
    let path = write(pid, &options, &sections, dump, &mut metadata)?;
    Ok(Taken { id, path, metadata })
}

fn write(
    pid: Pid,
    options: &DumpOptions,
    sections: &[&dyn SectionWriter],
    mut dump: NewDump,
    metadata: &mut Metadata,
) -> Result<PathBuf, Refusal> {
    match dump_process_with(pid, options, sections, &mut dump) {
        Ok(report) => {
            report.soft_errors.iter().for_each(|error| metadata.note(error));
            Ok(dump.commit(metadata)?.dump)
        }
        // What there is of it begins with the crash.
        Err(Error::Output { .. }) if dump.written() > 0 => Ok(dump.commit_partial(metadata)?.dump),
        Err(error) => Err(error.into()),
    }
}

fn options_of(
    account: &Account,
    pid: Pid,
    options: &DumpOptions,
    errors: &mut Vec<SoftError>,
) -> DumpOptions {
    let mut options = options.clone();
    options.blamed_thread = Some(account.thread);
    options.crash = account.exception.map(|exception| crash_of(pid, account.thread, exception, errors));
    options.annotations.extend(account.annotations.iter().cloned());
    if let Some(reason) = &account.reason {
        options.annotations.push(("reason".into(), reason.clone()));
    }
    options
}

/// The crash as its description in the program's memory tells it; only the code where that cannot be read.
fn crash_of(pid: Pid, thread: u32, exception: ExceptionAt, errors: &mut Vec<SoftError>) -> Crash {
    let ExceptionAt { pointers, code } = exception;
    match minidump_writer::crash::from_exception_pointers(pid, thread, pointers) {
        Ok(crash) => crash,
        Err(error) => {
            let message =
                format!("the description of the exception at {pointers:#x} cannot be read: {error}");
            errors.push(SoftError::new(Stage::Target, message));
            let exception = Exception { thread, code, flags: 0, address: 0, parameters: Vec::new() };
            Crash { exception, cpu: None }
        }
    }
}

fn metadata_of(account: &Account, peer: &Peer, options: &DumpOptions) -> Metadata {
    let program = peer.program();
    let mut metadata = Metadata::now(&program);
    if Path::new(&program).is_absolute() {
        metadata.executable = program;
    }
    metadata.pid = Some(peer.pid);
    metadata.tid = Some(account.thread);
    metadata.source = "handler".into();
    metadata.annotations = options.annotations.iter().cloned().collect();
    if let Some(crash) = &options.crash {
        metadata.reason = crate::exception_code::reason(crash.exception.code, crash.exception.address);
    } else {
        let told = account.reason.as_deref().filter(|reason| !reason.is_empty());
        let kind = if account.kind == RequestKind::Hang { "hang" } else { "asked for" };
        metadata.reason = told.map_or_else(|| kind.to_owned(), |reason| format!("{kind}: {reason}"));
    }
    metadata
}
