//! One request: from the account of a crash to a dump that is kept.

use super::attachments;
use super::jobs::Job;
use super::peer::Peer;
use crate::protocol::{ReplyKind, Request, RequestKind};
use crate::store::{Id, Metadata, NewDump, Store, StoreError};
use minidump_writer::snapshot::{Crash, SoftError};
use minidump_writer::{DumpOptions, Error, SectionWriter, crash, dump_process_with};
use std::path::{Path, PathBuf};

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not known whom the request is about.
    #[error("thread {0} is none of the program's")]
    NoSuchThread(i32),
    /// Another process has its number now.
    #[error("the program ended before it was dumped")]
    Gone,
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
#[non_exhaustive]
pub struct Taken {
    /// Its name.
    pub id: Id,
    /// Where it is.
    pub path: PathBuf,
    /// What is known of it.
    pub metadata: Metadata,
}

/// Dumps the program that asks.
pub fn capture(job: &Job, options: &DumpOptions, store: &Store) -> Result<Taken, Refusal> {
    let Job { request, peer, .. } = job;
    let program = peer.program();
    let thread = peer.thread(request.thread).ok_or(Refusal::NoSuchThread(request.thread))?;
    let options = options_of(request, thread, options);
    let mut metadata = metadata_of(request, peer, thread, &program, &options);
    let dump = store.begin_with(&metadata)?;
    let mut errors = Vec::new();
    let paths = request.attachments.iter().map(PathBuf::as_path);
    let attached = attachments::read(paths, peer.sender, &mut errors);
    let sections: Vec<&dyn SectionWriter> =
        attached.iter().map(|attachment| attachment as &dyn SectionWriter).collect();
    for error in &errors {
        metadata.note(error);
    }
    let id = dump.id();
    let written = write(peer, &options, &sections, dump, &mut metadata)?;
    Ok(Taken { id, path: written, metadata })
}

fn write(
    peer: &Peer,
    options: &DumpOptions,
    sections: &[&dyn SectionWriter],
    mut dump: NewDump,
    metadata: &mut Metadata,
) -> Result<PathBuf, Refusal> {
    let done = dump_process_with(peer.sender.pid, options, sections, &mut dump);
    // Whoever sent the request may have died since, and its number may be another's, of which this would be a dump.
    if !peer.is_same() {
        return Err(Refusal::Gone);
    }
    match done {
        Ok(report) => {
            report.soft_errors.iter().for_each(|error: &SoftError| metadata.note(error));
            Ok(dump.commit(metadata)?.dump)
        }
        // What there is of it begins with the crash.
        Err(Error::Output { .. }) if dump.written() > 0 => Ok(dump.commit_partial(metadata)?.dump),
        Err(error) => Err(error.into()),
    }
}

fn options_of(request: &Request, thread: i32, options: &DumpOptions) -> DumpOptions {
    let mut options = options.clone();
    options.blamed_thread = Some(thread.unsigned_abs());
    options.crash = request.crash.as_ref().map(|frame| {
        let mut crash: Crash = crash::from_signal_frame(
            thread.unsigned_abs(),
            frame.siginfo,
            frame.registers,
            frame.xsave.clone(),
        );
        crash.exception.thread = thread.unsigned_abs();
        crash
    });
    options.annotations.extend(request.annotations.iter().cloned());
    if let Some(reason) = &request.reason {
        options.annotations.push(("reason".into(), reason.clone()));
    }
    options
}

fn metadata_of(
    request: &Request,
    peer: &Peer,
    thread: i32,
    program: &str,
    options: &DumpOptions,
) -> Metadata {
    let mut metadata = Metadata::now(program);
    if Path::new(program).is_absolute() {
        program.clone_into(&mut metadata.executable);
    }
    metadata.pid = u32::try_from(peer.sender.pid).ok();
    metadata.tid = u32::try_from(thread).ok();
    metadata.source = "handler".into();
    metadata.annotations = options.annotations.iter().cloned().collect();
    if let Some(crash) = &options.crash {
        let signal = crash.exception.code.cast_signed();
        let name = signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned);
        metadata.signal = Some(signal);
        metadata.reason = format!("{name} at {:#x}", crash.exception.address);
    } else {
        let told = request.reason.as_deref().filter(|reason| !reason.is_empty());
        let kind = if request.kind == RequestKind::Hang { "hang" } else { "asked for" };
        metadata.reason = told.map_or_else(|| kind.to_owned(), |reason| format!("{kind}: {reason}"));
    }
    metadata
}

fn signal_name(signal: i32) -> Option<&'static str> {
    crate::signals::CORE.iter().find(|(number, _)| *number == signal).map(|(_, name)| *name)
}
