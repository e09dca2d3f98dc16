//! The same command with and without `minidump-writer run` around it, in the same place, so that whatever it does differs
//! by nothing but that.

use crate::Dump;
use crate::crash_matrix::dump_files;
use crate::process::{self, Guarded};
use crate::programs;
use std::fmt::Debug;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use tempfile::TempDir;

/// A folder to run commands in, by the program `w` that is first in their PATH: `w COMMAND ARGUMENTS…` runs the command.
#[derive(Debug)]
pub struct Around {
    folder: TempDir,
    supervised: bool,
}

/// What is left of a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// As `$?` of a shell.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Lets `observe` see both. Fails unless it sees the same and there are no dumps. Returns what it saw.
#[track_caller]
pub fn alike<Seen: Debug + PartialEq>(observe: impl Fn(&Around) -> Seen) -> Seen {
    let (seen, dumps) = alike_but_for_dumps(observe);
    assert_eq!(dumps.len(), 0, "nothing has crashed");
    seen
}

/// As [`alike`], of commands that crash. Returns the dumps, too.
#[track_caller]
pub fn alike_but_for_dumps<Seen: Debug + PartialEq>(observe: impl Fn(&Around) -> Seen) -> (Seen, Vec<Dump>) {
    let mut around = Around { folder: tempfile::tempdir().unwrap(), supervised: false };
    around.furnish();
    let alone = observe(&around);
    assert_eq!(around.dumps(), Vec::<PathBuf>::new());
    around.supervised = true;
    around.furnish();
    let supervised = observe(&around);
    assert_eq!(alone, supervised, "without and with a supervisor");
    let dumps = around.dumps();
    (supervised, dumps.iter().map(|path| Dump::of(fs::read(path).unwrap())).collect())
}

impl Around {
    /// Makes the program `w`, and an empty folder to work in.
    fn furnish(&self) {
        let _ = fs::remove_dir_all(self.work());
        fs::create_dir(self.work()).unwrap();
        fs::create_dir_all(self.path("bin")).unwrap();
        let around = if self.supervised { self.supervisor() } else { String::new() };
        // A new file, because the old one may still be being read.
        let program = self.path("bin/w");
        let _ = fs::remove_file(&program);
        fs::write(&program, format!("#!/bin/sh\nexec {around} \"$@\"\n")).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }

    fn supervisor(&self) -> String {
        format!("'{}' run -q -d '{}' --", programs::dumper().display(), self.path("dumps").display())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder to work in.
    pub fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// A folder that stays the same for both.
    pub fn kept(&self) -> &Path {
        self.folder.path()
    }

    /// PATH of the commands.
    pub fn search_path(&self) -> String {
        format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap())
    }

    /// Whether a supervisor is around them.
    pub fn is_supervised(&self) -> bool {
        self.supervised
    }

    /// Dumps of all that has crashed.
    fn dumps(&self) -> Vec<PathBuf> {
        dump_files(&self.path("dumps"))
    }

    /// A command in the folder to work in.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.work()).env("PATH", self.search_path());
        command
    }

    /// `w` and the words.
    pub fn wrapped<Word: AsRef<std::ffi::OsStr>>(&self, words: &[Word]) -> Command {
        let mut command = self.command("w");
        command.args(words);
        command
    }

    /// Starts a command that leads a process group.
    #[track_caller]
    pub fn start(command: &mut Command) -> Group {
        Group(Guarded::start(command.process_group(0)))
    }

    /// Runs a script of the shell, which has `w`.
    #[track_caller]
    pub fn script(&self, shell: &str, script: &str) -> Left {
        left(process::run(self.command(shell).args(["-c", script])))
    }

    /// Runs `w` and the words, without input.
    #[track_caller]
    pub fn run<Word: AsRef<std::ffi::OsStr>>(&self, words: &[Word]) -> Left {
        left(process::run(&mut self.wrapped(words)))
    }

    /// Runs `w` and the words with this input.
    #[track_caller]
    pub fn run_with_input<Word: AsRef<std::ffi::OsStr>>(
        &self,
        words: &[Word],
        input: impl Into<Stdio>,
    ) -> Left {
        left(process::run_with_input(&mut self.wrapped(words), input))
    }
}

/// A command and all of its process group, which are killed when the guard goes.
#[derive(Debug)]
pub struct Group(Guarded);

impl Group {
    /// The one that leads it.
    pub fn leader(&mut self) -> &mut Guarded {
        &mut self.0
    }

    /// Sends a signal to the one that leads it.
    #[track_caller]
    pub fn signal_leader(&self, signal: i32) {
        // SAFETY: two numbers; the process is a child that has not been reaped.
        assert_eq!(unsafe { libc::kill(self.0.pid(), signal) }, 0);
    }

    /// Sends a signal to all of it.
    #[track_caller]
    pub fn signal_all(&self, signal: i32) {
        // SAFETY: two numbers; the group is led by a child that has not been reaped.
        assert_eq!(unsafe { libc::kill(-self.0.pid(), signal) }, 0);
    }

    /// Its end, as `$?` of a shell.
    #[track_caller]
    pub fn code(&mut self) -> i32 {
        shell_code(self.0.wait("the command"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: as above; once it is reaped, its id is not used again so soon.
        unsafe { libc::kill(-self.0.pid(), libc::SIGKILL) };
    }
}

/// What a shell would tell of it.
pub fn left(finished: process::Finished) -> Left {
    let stdout = String::from_utf8_lossy(&finished.stdout).into_owned();
    Left { code: shell_code(finished.status), stdout, stderr: finished.stderr }
}

/// `$?` of a shell.
pub fn shell_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}
