use std::io;

/// The destination refused the dump. What it took so far is the start of a minidump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileWriterError {
    /// What it said.
    #[error("the minidump could not be written: {0}")]
    IOError(#[from] io::Error),
}
