//! What can go wrong, and its number for C.
#![cfg_attr(
    not(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64")),
    allow(dead_code, reason = "some of it goes wrong with clients alone")
)]

use minidump_writer::Error;
use minidump_writer::output::OutputError;
use std::ffi::c_int;

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
use minidump_handler::client::{AnnotationError, DumpError, InstallError};

/// What a function of the C interface returns. The numbers never change; there may be more of them some day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum Code {
    /// Done.
    Ok = 0,
    /// An argument is a null pointer, misaligned, empty or out of its range.
    Argument = 1,
    /// A text is not UTF-8.
    Utf8 = 2,
    /// The handle is of no client or heartbeat, or of one that has been stopped.
    Handle = 3,
    /// There is a client already.
    AlreadyStarted = 4,
    /// The dump is there, but its path is longer than the buffer.
    BufferTooSmall = 5,
    /// This system, program or build cannot do it.
    Unsupported = 6,
    /// The system refused memory, a descriptor, a thread or the like.
    System = 7,
    /// There is no such process, or it ended.
    NoProcess = 8,
    /// No permission to trace the process.
    Permission = 9,
    /// Another tracer has the process.
    Traced = 10,
    /// The process could not be captured.
    Capture = 11,
    /// The dump could not be written.
    Output = 12,
    /// The dump directory cannot be used.
    DumpDirectory = 13,
    /// The handler could not be started or reached.
    HandlerStart = 14,
    /// There is no handler, or it has gone.
    HandlerGone = 15,
    /// The handler does not answer.
    HandlerSilent = 16,
    /// The handler keeps no more dumps of this program for now.
    Declined = 17,
    /// The handler could not make the dump.
    HandlerFailed = 18,
    /// The key or value of an annotation is empty or too long.
    Annotation = 19,
    /// There is no room for another annotation.
    AnnotationsFull = 20,
    /// Another change of the annotations is not finished.
    Busy = 21,
    /// A bug of this library.
    Internal = 22,
}

/// Why a function fails. Making one and showing it does not allocate where annotations are concerned, which may be set in
/// signal handlers.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Of an argument: which, and what is wrong with it.
    #[error("{0}: {1}")]
    Argument(&'static str, &'static str),
    /// A text that should be UTF-8 is not.
    #[error("{0} is not UTF-8")]
    Utf8(&'static str),
    /// The structure is of a newer version and asks for something that this one does not know.
    #[error("{0} asks for what this version of the library does not know")]
    Newer(&'static str),
    /// A number that is no handle any more.
    #[error("there is no such {0}; it may have been stopped")]
    Handle(&'static str),
    /// There is a client.
    #[error("there is a client already")]
    AlreadyStarted,
    /// The path of a dump is too long for the buffer.
    #[error("the dump is written, but its path does not fit the buffer: {0} bytes are needed")]
    BufferTooSmall(usize),
    /// There is no dump of a process.
    #[error(transparent)]
    Dump(#[from] Error),
    /// Its file cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// There is no client.
    #[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
    #[error(transparent)]
    Install(#[from] InstallError),
    /// An annotation was refused.
    #[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// The handler made no dump.
    #[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
    #[error(transparent)]
    Wish(#[from] DumpError),
    /// A panic.
    #[error("the library failed inside; please report this")]
    Panicked,
}

impl Failure {
    /// Its number.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Argument(..) => Code::Argument,
            Self::Utf8(_) => Code::Utf8,
            Self::Newer(_) => Code::Unsupported,
            Self::Handle(_) => Code::Handle,
            Self::AlreadyStarted => Code::AlreadyStarted,
            Self::BufferTooSmall(_) => Code::BufferTooSmall,
            Self::Dump(error) => of_dump(error),
            Self::Output(_) => Code::Output,
            #[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
            Self::Install(error) => of_install(error),
            #[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
            Self::Annotation(error) => of_annotation(*error),
            #[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
            Self::Wish(error) => of_wish(error),
            Self::Panicked => Code::Internal,
        }
    }
}

impl Code {
    /// As C sees it.
    #[must_use]
    pub const fn number(self) -> c_int {
        self as c_int
    }
}

fn of_dump(error: &Error) -> Code {
    match error {
        Error::InvalidPid { .. } => Code::Argument,
        Error::NoSuchProcess { .. } | Error::Zombie { .. } | Error::TargetGone { .. } => Code::NoProcess,
        Error::KernelThread { .. }
        | Error::UnsupportedProgram { .. }
        | Error::CopyRefused { .. }
        | Error::Unsupported { .. } => Code::Unsupported,
        Error::AlreadyTraced { .. } => Code::Traced,
        Error::PermissionDenied { .. } => Code::Permission,
        Error::Memory { .. } | Error::LocalHelper { .. } => Code::System,
        Error::Output { .. } => Code::Output,
        Error::Internal { .. } => Code::Internal,
        _ => Code::Capture,
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
fn of_install(error: &InstallError) -> Code {
    match error {
        InstallError::AlreadyInstalled => Code::AlreadyStarted,
        InstallError::NoDumpDirectory => Code::Argument,
        InstallError::Store(_) => Code::DumpDirectory,
        InstallError::Start { .. } | InstallError::Connect { .. } => Code::HandlerStart,
        InstallError::Annotation { source, .. } => of_annotation(*source),
        _ => Code::System,
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
fn of_annotation(error: AnnotationError) -> Code {
    match error {
        AnnotationError::Full => Code::AnnotationsFull,
        AnnotationError::Busy => Code::Busy,
        _ => Code::Annotation,
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
fn of_wish(error: &DumpError) -> Code {
    match error {
        DumpError::NoHandler => Code::HandlerGone,
        DumpError::Silent => Code::HandlerSilent,
        DumpError::Declined(_) => Code::Declined,
        _ => Code::HandlerFailed,
    }
}
