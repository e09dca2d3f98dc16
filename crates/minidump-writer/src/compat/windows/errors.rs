//! Why there is no dump, under the names of the documented API for Windows.

pub use crate::compat::file_writer_error::FileWriterError;

use std::fmt;
use std::io;
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, RtlNtStatusToDosError};

/// Why there is no dump. The variants are those of the published crate, so that a `match` over them still compiles.
///
/// Where a call of the system failed, [`FailedCall::of`] tells which one, about what, and the system's number.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process could not be opened, the destination refused the dump, the system's dumper failed …
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A stream could not be laid out.
    #[error("a stream of the minidump could not be laid out: {0}")]
    Scroll(#[from] scroll::Error),
    /// The thread cannot be dumped: there is none of that id, it belongs to another process, or it is protected.
    #[error("the thread cannot be opened: {0}")]
    ThreadOpen(#[source] io::Error),
    /// The thread cannot be made to stand.
    #[error("the thread cannot be suspended: {0}")]
    ThreadSuspend(#[source] io::Error),
    /// The thread stands, but its registers cannot be had.
    #[error("the thread's registers cannot be read: {0}")]
    ThreadContext(#[source] io::Error),
}

impl Error {
    fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Io(error)
            | Self::ThreadOpen(error)
            | Self::ThreadSuspend(error)
            | Self::ThreadContext(error) => Some(error),
            Self::Scroll(_) => None,
        }
    }
}

/// A call of the system that failed. It is what is inside of the [`io::Error`] of an [`Error`].
#[derive(Debug, thiserror::Error)]
#[error("{call} failed for {subject}: {source}{}", advice.map(|advice| format!("; {advice}")).unwrap_or_default())]
pub struct FailedCall {
    /// The function.
    pub call: &'static str,
    /// What it was asked to do something with.
    pub subject: Subject,
    /// What it probably means, or what to do about it.
    pub advice: Option<&'static str>,
    /// What the system said; its number is `raw_os_error`.
    #[source]
    pub source: io::Error,
}

/// What a call was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// The process of this id.
    Process(u32),
    /// The thread of this id.
    Thread(u32),
    /// The file that was to take the dump.
    Destination,
    /// The system's dbghelp.dll.
    Library,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::Thread(id) => write!(f, "thread {id}"),
            Self::Destination => f.write_str("the destination"),
            Self::Library => f.write_str("dbghelp.dll"),
        }
    }
}

impl FailedCall {
    /// The call that `error` is about, when it is about one.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        error.io()?.get_ref()?.downcast_ref()
    }

    /// What `call` left behind for GetLastError. To be called before anything else is.
    pub(super) fn last(call: &'static str, subject: Subject) -> io::Error {
        Self::because(call, subject, io::Error::last_os_error())
    }

    /// `call` failed because of `source`.
    pub(super) fn because(call: &'static str, subject: Subject, source: io::Error) -> io::Error {
        let kind = source.kind();
        let advice = advice(subject, source.raw_os_error().map(i32::cast_unsigned));
        io::Error::new(kind, Self { call, subject, advice, source })
    }
}

/// What an error number means for those who asked for a dump.
fn advice(subject: Subject, code: Option<u32>) -> Option<&'static str> {
    match (subject, code?) {
        (Subject::Process(_), ERROR_INVALID_PARAMETER) => Some("there is no process of this id"),
        (Subject::Thread(_), ERROR_INVALID_PARAMETER) => Some("there is no thread of this id"),
        (Subject::Process(_) | Subject::Thread(_), ERROR_ACCESS_DENIED) => {
            Some("dump it as the same user, or as an administrator with the privilege SeDebugPrivilege")
        }
        (Subject::Destination, ERROR_ACCESS_DENIED | ERROR_INVALID_PARAMETER) => {
            Some("it must be a file that is open for writing")
        }
        _ => None,
    }
}

/// The error of an HRESULT, such as `MiniDumpWriteDump` leaves behind for GetLastError.
///
/// One that was made of an error number or of an NTSTATUS (`HRESULT_FROM_WIN32`, `HRESULT_FROM_NT`) becomes that error again,
/// for which the system has a sentence; plain error numbers are taken as they are.
pub(super) fn of_hresult(code: u32) -> io::Error {
    /// Severity and facility of an HRESULT that was made of an error number: failure, `FACILITY_WIN32`.
    const WIN32: u32 = 0x8007_0000;
    /// Tells an HRESULT that was made of an NTSTATUS.
    const NT_BIT: u32 = 0x1000_0000;
    let number = if code & 0xffff_0000 == WIN32 {
        code & 0xffff
    } else if code & 0xc000_0000 != 0 && code & NT_BIT != 0 {
        // SAFETY: takes a number and touches no memory.
        unsafe { RtlNtStatusToDosError((code & !NT_BIT).cast_signed()) }
    } else {
        code
    };
    io::Error::from_raw_os_error(number.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::Foundation::{ERROR_NOACCESS, ERROR_PARTIAL_COPY, STATUS_ACCESS_VIOLATION};

    #[test]
    fn an_hresult_is_told_as_the_error_that_it_was_made_of() {
        let number = |code| of_hresult(code).raw_os_error().unwrap().cast_unsigned();
        assert_eq!(number(0x8007_012b), ERROR_PARTIAL_COPY);
        assert_eq!(number(ERROR_PARTIAL_COPY), ERROR_PARTIAL_COPY);
        assert_eq!(number(STATUS_ACCESS_VIOLATION.cast_unsigned() | 0x1000_0000), ERROR_NOACCESS);
        assert_eq!(number(0x8000_4005), 0x8000_4005, "E_FAIL was made of none");
    }

    #[test]
    fn a_failed_call_tells_what_failed_for_whom_and_what_to_do() {
        let denied = io::Error::from_raw_os_error(ERROR_ACCESS_DENIED.cast_signed());
        let error = Error::from(FailedCall::because("OpenProcess", Subject::Process(4711), denied));
        let text = error.to_string();
        assert!(text.starts_with("OpenProcess failed for process 4711: "), "{text}");
        assert!(text.ends_with(
            "; dump it as the same user, or as an administrator with the privilege SeDebugPrivilege"
        ));
        let call = FailedCall::of(&error).unwrap();
        assert_eq!((call.call, call.subject), ("OpenProcess", Subject::Process(4711)));
        assert_eq!(call.source.raw_os_error(), Some(ERROR_ACCESS_DENIED.cast_signed()));
        assert!(matches!(&error, Error::Io(inner) if inner.kind() == io::ErrorKind::PermissionDenied));
    }
}
