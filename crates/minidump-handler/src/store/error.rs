//! Why the dump directory could not do what was asked.

use super::Id;
use super::files::is_full;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why the dump directory could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory or one of its parts cannot be made.
    #[error("cannot make the dump directory {}: {source}", .path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Where a directory should be is something else, perhaps a symbolic link.
    #[error("{} is not a directory; choose another dump directory or move it away", .path.display())]
    NotADirectory {
        /// What should be a directory.
        path: PathBuf,
    },
    /// A file of the directory cannot be written, moved, read or removed.
    #[error("cannot {what} {}: {source}", .path.display())]
    File {
        /// What was tried, such as "write".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The program crashes again and again; this crash is counted and gets no dump.
    #[error(
        "{program} has crashed {kept} times within {} s, so this crash gets no dump ({dropped} so far)",
        .window.as_secs()
    )]
    Damped {
        /// The program.
        program: String,
        /// How many of its dumps were begun within the window.
        kept: u32,
        /// The window.
        window: Duration,
        /// How many of its crashes got no dump since the last one that did, with this one.
        dropped: u64,
    },
    /// There is no dump of this name.
    #[error("there is no dump {id}")]
    NotFound {
        /// The name.
        id: Id,
    },
}

impl StoreError {
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::File { what, path, source }
    }

    /// Whether the disk, or the quota of the user on it, was full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Make { source, .. } | Self::File { source, .. } => is_full(source),
            _ => false,
        }
    }
}
