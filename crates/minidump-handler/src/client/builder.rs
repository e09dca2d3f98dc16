//! Preparing a program for its crash.

use super::heartbeat::Beats;
use super::linux::fallback::Fallback;
use super::linux::message::About;
use super::linux::monitor::{self, Shared, Source};
use super::linux::region::Region;
use super::linux::signals::Previous;
use super::linux::start::{self, Program};
use super::linux::state::{self, ANNOTATIONS, Channel, State};
use super::linux::{FirstChance, forks, stacks};
use super::{Client, InstallError};
use crate::store::{Limits, Metadata, Reserved, Store};
use crate::wake::Waker;
use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd as _, IntoRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Bytes of what a crash needs: the recorder's memory, and texts.
const REGION: usize = 512 << 10;

/// How a program wants to be protected. Made by [`Client::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing is protected before `install`"]
pub struct Builder {
    dump_dir: Option<PathBuf>,
    handler: Option<PathBuf>,
    socket: Option<PathBuf>,
    arguments: Vec<OsString>,
    attachments: Vec<PathBuf>,
    annotations: Vec<(String, String)>,
    patience: Duration,
    first_chance: Option<FirstChance>,
    present_threads: bool,
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

    /// Where a handler listens that runs already (`minidump-writer handler --socket PATH`), instead of one of its own. With
    /// a dump directory it may also come later; until then the program writes its dump itself.
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

    /// Has `function` look at each signal first. It is for runtimes that use faults for their own purposes.
    pub fn first_chance(mut self, function: FirstChance) -> Self {
        self.first_chance = Some(function);
        self
    }

    /// Whether threads that are there already get alternative signal stacks, for which each receives a real-time signal
    /// once (system calls that never restart return EINTR). Default true. Without such a stack, a crash in a thread whose
    /// stack has overflowed is nobody's but the supervisor's.
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
        if state::current().is_some() {
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
        let failed = |source| InstallError::Connection { source };
        let mut region = Region::new(REGION).map_err(failed)?;
        let (fallback, reserved) = self.fallback(&mut region)?;
        let waker = Waker::new().map_err(failed)?;
        let attachments = self.attachments.iter().map(|path| path.as_os_str().as_bytes());
        let about = About::new(&mut region, attachments).map_err(failed)?;
        let (channel, source) = self.reach()?;
        let state: &'static State = region
            .put(State {
                channel,
                fallback,
                previous: Previous::look_up(),
                about,
                patience_ms: u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX),
                first_chance: self.first_chance,
                ask_yama: asks_yama(),
            })
            .map_err(failed)?;
        let shared = Arc::new(Shared { beats: Beats::default(), stop: AtomicBool::new(false), waker });
        state::set(state);
        forks::watch();
        // It stays with its thread.
        let _ = stacks::install();
        #[cfg(target_os = "linux")]
        super::linux::interpose::begin();
        if self.present_threads {
            stacks::install_for_all();
        }
        let hooked = state.previous.replace();
        let monitor = source.map(|source| monitor::spawn(state, Arc::clone(&shared), source));
        let client = Client { state, shared, monitor: None, reserved: ManuallyDrop::new(reserved) };
        // From here on dropping the client is not enough to take it back.
        let failed = hooked.err().or_else(|| monitor.as_ref()?.as_ref().err().map(copy));
        if let Some(source) = failed {
            client.stop();
            return Err(InstallError::Hook { source });
        }
        Ok(Client { monitor: monitor.and_then(Result::ok), ..client })
    }

    fn fallback(&self, region: &mut Region) -> Result<(Option<Fallback>, Option<Reserved>), InstallError> {
        let Some(directory) = &self.dump_dir else { return Ok((None, None)) };
        let store = Store::open(directory, Limits::none())?;
        let executable = std::env::current_exe().unwrap_or_default();
        let mut metadata = Metadata::now(executable.to_string_lossy());
        metadata.executable = executable.to_string_lossy().into_owned();
        metadata.source = "client".into();
        metadata.reason = "the program ended before it could say why".into();
        metadata.pid = Some(std::process::id());
        let reserved = store.reserve(&metadata)?;
        let fallback = Fallback::new(region, &reserved, &metadata);
        Ok((fallback.map_err(|source| InstallError::Connection { source })?, Some(reserved)))
    }

    /// Finds the handler.
    fn reach(&self) -> Result<(Channel, Option<Source>), InstallError> {
        if let Some(path) = &self.socket {
            let reached = match start::connect(path) {
                // The thread that looks after the connection goes on trying; until then the program helps itself.
                Err(_) if self.dump_dir.is_some() => start::ended_connection(),
                reached => reached,
            };
            let control = reached?.into_raw_fd();
            return Ok((Channel::new(control, -1), Some(Source::Listens(path.clone()))));
        }
        let (Some(path), Some(dump_dir)) = (&self.handler, &self.dump_dir) else {
            return Ok((Channel::new(-1, -1), None));
        };
        let dump_dir = std::path::absolute(dump_dir).unwrap_or_else(|_| dump_dir.clone());
        let program = Program { path: path.clone(), dump_dir, arguments: self.arguments.clone() };
        let [control, theirs] = start::connection()?;
        program.start(theirs.as_fd())?;
        let channel = Channel::new(control.into_raw_fd(), theirs.into_raw_fd());
        Ok((channel, Some(Source::Started(program))))
    }
}

fn copy(error: &std::io::Error) -> std::io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error)
}

/// Whether a process has to say who may trace it (Documentation/admin-guide/LSM/Yama.rst).
fn asks_yama() -> bool {
    std::fs::read("/proc/sys/kernel/yama/ptrace_scope").is_ok_and(|scope| scope.first() == Some(&b'1'))
}
