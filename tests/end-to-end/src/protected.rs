//! A crasher with a client, and the dump directory that is its own.

use crate::core_pattern::dumps_in;
use crate::process::wait_until;
use crate::{Dump, Target, programs};
use serde_json::Value;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A running `crasher protected`.
#[derive(Debug)]
pub struct Protected {
    /// The crasher.
    pub target: Target,
    folder: TempDir,
}

/// How it is to be started.
#[derive(Debug)]
pub struct Setting {
    folder: TempDir,
    command: Command,
}

impl Default for Setting {
    fn default() -> Self {
        Self::new()
    }
}

impl Setting {
    /// With a dump directory, and nobody else.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(programs::crasher());
        command.arg("protected").env("CRASHER_DUMPS", folder.path().join("dumps"));
        command.current_dir(folder.path());
        Self { folder, command }
    }

    /// With a handler, which it starts.
    pub fn with_handler() -> Self {
        Self::new().variable("CRASHER_HANDLER", programs::dumper())
    }

    /// With this in its environment.
    pub fn variable(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With one more argument.
    pub fn argument(mut self, word: &str) -> Self {
        self.command.arg(word);
        self
    }

    /// A folder of its own, in which the dump directory will be.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it.
    #[track_caller]
    pub fn start(mut self) -> Protected {
        let target = Target::start_command(&mut self.command);
        Protected { target, folder: self.folder }
    }
}

impl Protected {
    /// Its dump directory.
    pub fn directory(&self) -> PathBuf {
        self.folder.path().join("dumps")
    }

    /// Waits until its handler has said that it runs. Returns that one's process id.
    #[track_caller]
    pub fn handler(&mut self) -> i32 {
        self.handler_but(0)
    }

    /// Waits until another handler than `old` has said that it runs.
    #[track_caller]
    pub fn handler_but(&mut self, old: i32) -> i32 {
        let mut found = 0;
        wait_until("a handler that runs", || {
            found = self.target.ask("handler")["handler"].as_i64().unwrap().try_into().unwrap();
            found != 0 && found != old
        });
        found
    }

    /// Has it die of a `kind` of crash. Returns the signal that ended it, and what it said beforehand.
    #[track_caller]
    pub fn crash(&mut self, kind: &str) -> (Option<i32>, Value) {
        let facts = self.target.ask(&format!("crash {kind}"));
        (self.target.wait().signal(), facts)
    }

    /// Has it ask for a dump. Returns where that is.
    ///
    /// # Errors
    /// Why there is none.
    #[track_caller]
    pub fn dump(&mut self, reason: &str) -> Result<PathBuf, String> {
        let told = self.target.ask(&format!("dump {reason}"));
        let text = |key: &str| told[key].as_str().map(str::to_owned);
        text("path").map(PathBuf::from).ok_or_else(|| text("error").unwrap())
    }

    /// The dumps that are pending, with what the directory tells of them.
    pub fn dumps(&self) -> Vec<(Dump, Value)> {
        let dumps = dumps_in(&self.directory()).into_iter();
        dumps.map(|(path, metadata)| (Dump::of(fs::read(path).unwrap()), metadata)).collect()
    }

    /// The only one.
    #[track_caller]
    pub fn dump_alone(&self) -> (Dump, Value) {
        let mut dumps = self.dumps();
        assert_eq!(dumps.len(), 1, "{:?}", dumps.iter().map(|(_, metadata)| metadata).collect::<Vec<_>>());
        dumps.remove(0)
    }
}

/// Whether a process runs.
pub fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with(['Z', 'X'])))
}

/// Sends a signal to a process that is no child of this one.
#[track_caller]
pub fn signal(pid: i32, signal: i32) {
    // SAFETY: it takes numbers.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "kill {pid}: {}", std::io::Error::last_os_error());
}
