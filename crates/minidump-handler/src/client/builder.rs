//! Preparing a program for its crash.

use super::platform::{self, ANNOTATIONS, FirstChance};
use super::{Client, InstallError};
use crate::store::{Limits, Metadata, Reserved, Store};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How a program wants to be protected. Made by [`Client::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing is protected before `install`"]
pub struct Builder {
    pub(super) dump_dir: Option<PathBuf>,
    pub(super) handler: Option<PathBuf>,
    pub(super) socket: Option<PathBuf>,
    pub(super) arguments: Vec<OsString>,
    pub(super) attachments: Vec<PathBuf>,
    pub(super) annotations: Vec<(String, String)>,
    pub(super) patience: Duration,
    pub(super) first_chance: Option<FirstChance>,
    pub(super) present_threads: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            dump_dir: None,
            handler: None,
            socket: None,
            arguments: Vec::new(),
            attachments: Vec::new(),
            annotations: Vec::new(),
            patience: Duration::from_secs(5),
            first_chance: None,
            present_threads: true,
        }
    }
}

impl Builder {
    /// The dump directory ([`store`](crate::store)). The handler that is started keeps its dumps there; and the program
    /// itself writes one there when no handler answers. Without one it cannot.
    pub fn dump_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.dump_dir = Some(path.into());
        self
    }

    /// The program `minidump-writer`, to be started as the handler of this one and its children. It is kept running: one
    /// that dies is started again, and finds the requests that the one before did not answer.
    pub fn handler(mut self, path: impl Into<PathBuf>) -> Self {
        self.handler = Some(path.into());
        self
    }

    /// More arguments for the handler that is started (`minidump-writer handler --help`).
    pub fn handler_arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Where a handler listens that runs already (`minidump-writer handler --socket PATH`), instead of one of its own: a
    /// path, or on Windows the name of a pipe. With a dump directory it may also come later; until then the program writes
    /// its dump itself.
    pub fn connect(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    /// The version of the program: the annotation `version`.
    pub fn version(self, version: impl Into<String>) -> Self {
        self.annotation("version", version)
    }

    /// A file to be kept with each dump, read when the program crashes. At most 64 of them.
    pub fn attachment(mut self, path: impl Into<PathBuf>) -> Self {
        self.attachments.push(path.into());
        self
    }

    /// An annotation, as if set by [`Client::annotate`] afterwards.
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.push((key.into(), value.into()));
        self
    }

    /// How long a crashing program waits for the handler to say that it has read the request. Then it writes its dump
    /// itself. Default 5 s. For the dump it waits as long as the handler gives signs of life.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Has `function` look at each signal first. It is for runtimes that use faults for their own purposes. On Windows, those
    /// have handlers that come before this client's; what the function says there is whether there shall be no dump.
    pub fn first_chance(mut self, function: FirstChance) -> Self {
        self.first_chance = Some(function);
        self
    }

    /// Whether threads that are there already get alternative signal stacks, for which each receives a real-time signal
    /// once (system calls that never restart return EINTR). Default true. Without such a stack, a crash in a thread whose
    /// stack has overflowed is nobody's but the supervisor's. On Windows this changes nothing: a thread gets room for that by
    /// itself alone (`Client::reserve_stack`).
    pub fn present_threads(mut self, wanted: bool) -> Self {
        self.present_threads = wanted;
        self
    }

    /// Installs the client: from now on, crashes of this program have dumps.
    ///
    /// # Errors
    /// When nothing at all would come of a crash. A handler that cannot be started is such a case; one that dies later is
    /// not. See [`InstallError`].
    pub fn install(self) -> Result<Client, InstallError> {
        let _turn = super::turn();
        if platform::is_installed() {
            return Err(InstallError::AlreadyInstalled);
        }
        if self.dump_dir.is_none() && self.socket.is_none() {
            return Err(InstallError::NoDumpDirectory);
        }
        for (key, value) in &self.annotations {
            ANNOTATIONS
                .set(key, value)
                .map_err(|source| InstallError::Annotation { key: key.clone(), source })?;
        }
        platform::install(&self).map(|installed| Client { installed })
    }

    /// Files for a dump that the program writes itself, and what is known of it.
    pub(super) fn reserve(&self) -> Result<Option<(Reserved, Metadata)>, InstallError> {
        let Some(directory) = &self.dump_dir else { return Ok(None) };
        let store = Store::open(directory, Limits::none())?;
        let executable = std::env::current_exe().unwrap_or_default();
        let mut metadata = Metadata::now(executable.to_string_lossy());
        metadata.executable = executable.to_string_lossy().into_owned();
        metadata.source = "client".into();
        metadata.reason = "the program ended before it could say why".into();
        metadata.pid = Some(std::process::id());
        Ok(Some((store.reserve(&metadata)?, metadata)))
    }
}
