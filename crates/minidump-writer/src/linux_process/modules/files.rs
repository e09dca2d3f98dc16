//! The files behind the mappings of a process, for what memory does not tell. Only a back end can open them.

use super::super::maps::Mapping;
use super::from_file::{FileFacts, NoFacts, Sample};
use std::io;

/// Device (major, minor) and inode.
pub type FileIdentity = ((u32, u32), u64);

/// A way to the files of a process.
pub trait ModuleFiles {
    /// What the ELF image in the file behind `mapping`, whose path is `path`, tells. It starts at the first of `origins` where
    /// there is a header. A file that is not proven to be the mapped one must hold `sample`.
    ///
    /// # Errors
    /// When the file cannot be had or trusted, or has no such image.
    fn facts(
        &self,
        mapping: &Mapping,
        path: &[u8],
        origins: Vec<u64>,
        sample: Sample,
    ) -> Result<FileFacts, NoFacts>;

    /// Device and inode of the main executable.
    fn executable(&self) -> Option<FileIdentity>;

    /// The name of the file behind `mapping` without escapes.
    fn exact_name(&self, mapping: &Mapping) -> Option<Vec<u8>>;

    /// Whether `path` names the file behind `mapping` now.
    fn still_names(&self, mapping: &Mapping, path: &[u8]) -> bool;
}

/// Why a file of the process is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The path does not name a regular file.
    #[error("{path} is {kind} now, not a regular file")]
    NotRegular {
        /// The path in the target.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// The path names another file than the mapped one.
    #[error("{path} is another file now than the one that is mapped")]
    Replaced {
        /// The path in the target.
        path: String,
    },
    /// The operating system refused.
    #[error("{path} cannot be opened: {}", source.kind())]
    Open {
        /// The path in the target.
        path: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The file system did not answer in time, for this file or for one before.
    #[error("{path} was not read: its file system does not answer")]
    Stuck {
        /// The path in the target.
        path: String,
    },
}

impl FileError {
    /// The operating system's error number, when there is one.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        match self {
            Self::Open { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}
