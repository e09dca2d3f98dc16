//! Why a command could not be supervised.

use std::io;

/// Why a command could not be supervised.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The command could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its name.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system does not let this program trace the one it has started.
    #[error("cannot trace {program}: {source}")]
    Trace {
        /// Its name.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Waiting for it failed.
    #[error("cannot wait for {program}: {source}")]
    Wait {
        /// Its name.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
