//! Why there is no dump, under the names of the documented API.

pub use super::file_writer_error::FileWriterError;

use crate::{Error, Pid};
use minidump_formats::minidump::FormatError;
use std::io;

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriterError {
    /// The process could not be captured.
    #[error(transparent)]
    InitError(#[from] InitError),
    /// What was captured does not fit the format.
    #[error("the minidump could not be laid out: {0}")]
    MemoryWriterError(#[source] FormatError),
    /// The destination refused the dump.
    #[error(transparent)]
    FileWriterError(#[from] FileWriterError),
}

/// Why a process could not be captured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// A process cannot trace itself.
    #[error("process {0} cannot trace itself; let another process dump it")]
    CannotPtraceSameProcess(Pid),
    /// The system would not stop it.
    #[error(transparent)]
    StopProcessFailed(#[from] StopProcessError),
    /// Any other reason: no such process, no permission, already traced …
    #[error(transparent)]
    Capture(Error),
}

/// The system would not stop the process.
#[derive(Debug, thiserror::Error)]
#[error("process {pid} could not be stopped: {source}")]
pub struct StopProcessError {
    /// The process asked for.
    pub pid: Pid,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Memory of a process could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{length} bytes at {src:#x} of process {child} could not be read from offset {offset} on: {source}")]
pub struct CopyFromProcessError {
    /// The process.
    pub child: Pid,
    /// First address asked for.
    pub src: usize,
    /// How many bytes behind it reading ended.
    pub offset: usize,
    /// How many bytes were asked for.
    pub length: usize,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl From<Error> for WriterError {
    fn from(error: Error) -> Self {
        match error {
            Error::Output { source } => Self::FileWriterError(source.into()),
            Error::Format { source, .. } => Self::MemoryWriterError(source),
            Error::Stop { pid, source } => Self::InitError(StopProcessError { pid, source }.into()),
            other => Self::InitError(InitError::Capture(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_an_error<T: std::error::Error + Send + Sync + 'static>() {}

    #[test]
    fn each_kind_of_failure_has_its_variant() {
        is_an_error::<WriterError>();
        let denied = || io::Error::from_raw_os_error(libc::EACCES);
        let error = WriterError::from(Error::Output { source: denied() });
        assert!(matches!(error, WriterError::FileWriterError(FileWriterError::IOError(_))), "{error:?}");
        let error = WriterError::from(Error::Stop { pid: 7, source: denied() });
        assert!(
            matches!(
                &error,
                WriterError::InitError(InitError::StopProcessFailed(StopProcessError { pid: 7, .. }))
            ),
            "{error:?}"
        );
        assert!(error.to_string().starts_with("process 7 could not be stopped: "), "{error}");
        let error = WriterError::from(Error::Format { pid: 7, source: FormatError::Count { count: 5 } });
        assert!(
            matches!(error, WriterError::MemoryWriterError(FormatError::Count { count: 5 })),
            "{error:?}"
        );
        let error = WriterError::from(Error::NoSuchProcess { pid: 7 });
        assert_eq!(error.to_string(), "there is no process 7");
        assert!(
            matches!(error, WriterError::InitError(InitError::Capture(Error::NoSuchProcess { pid: 7 }))),
            "{error:?}"
        );
    }
}
