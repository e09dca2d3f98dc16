//! The ways of protecting a program.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The programs that take part.
#[derive(Debug)]
pub struct Programs {
    /// Our program, the handler.
    pub handler: PathBuf,
    /// `crash-bench`.
    pub ours: PathBuf,
    /// `crash-peer`.
    pub peer: PathBuf,
}

/// Who writes the dump of a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Our handler.
    Handler,
    /// The published `minidumper`.
    Peer,
    /// The program itself, by our client without a handler.
    Alone,
    /// Nobody.
    None,
}

impl Way {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handler => "ours",
            Self::Peer => "minidumper",
            Self::Alone => "ours, without a handler",
            Self::None => "no protection",
        }
    }

    /// The program, with its dumps to go to `folder`.
    pub fn command(self, programs: &Programs, threads: usize, live_kib: usize, folder: &Path) -> Command {
        let (program, word) = match self {
            Self::Handler => (&programs.ours, "handler"),
            Self::Peer => (&programs.peer, "own"),
            Self::Alone => (&programs.ours, "alone"),
            Self::None => (&programs.ours, "none"),
        };
        let mut command = Command::new(program);
        command.args([word, &threads.to_string(), &live_kib.to_string()]).arg(folder);
        if self == Self::Handler {
            command.arg(&programs.handler);
        }
        command
    }

    /// Threads that the client adds to the program: the one that keeps the handler alive.
    pub fn own_threads(self) -> usize {
        usize::from(self == Self::Handler)
    }

    /// Where a dump is.
    pub fn dumps(self, folder: &Path) -> PathBuf {
        match self {
            Self::Handler | Self::Alone => folder.join("pending"),
            Self::Peer | Self::None => folder.to_owned(),
        }
    }

    /// What the metadata beside a dump say of who wrote it, where there are any.
    pub fn source(self) -> Option<&'static str> {
        match self {
            Self::Handler => Some("handler"),
            Self::Alone => Some("client"),
            Self::Peer | Self::None => None,
        }
    }
}
