//! The columns: ways from a crash to a dump.

use super::{End, system_wide};
use crate::Dump;
use crate::core_pattern::{self, Installed};
use crate::process::{self, Finished};
use crate::{needs, programs};
use serde_json::Value;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// A way from a crash to a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `minidump-writer run`, without the program's help.
    Supervisor,
    /// The client in the program, and the handler that it starts.
    Client,
    /// `minidump-writer core-handler`, which the kernel starts. Needs root.
    CoreHandler,
    /// `minidump-writer core-handler --listen`, to which the kernel connects. Needs root and Linux 6.16.
    CoreSocket,
}

/// What came of running a command.
#[derive(Debug)]
pub struct Outcome {
    /// How the command ended.
    pub end: End,
    /// What it said on standard output, line by line.
    pub facts: Vec<Value>,
    /// What was said on standard error.
    pub stderr: String,
    /// The dumps, in no order.
    pub dumps: Vec<Dump>,
}

impl Way {
    /// Whether this user may go it; says so when not.
    pub fn is_open(self) -> bool {
        match self {
            Self::Supervisor | Self::Client => true,
            Self::CoreHandler => needs::root("the core handler"),
            Self::CoreSocket => Installed::copied_for_socket("the coredump socket").is_some(),
        }
    }

    /// Runs `words` to its end. Fails unless the path of every dump was told on standard error.
    #[track_caller]
    pub fn run(self, words: &[OsString]) -> Outcome {
        let installed = match self {
            Self::Supervisor | Self::Client => None,
            Self::CoreHandler => Some(Installed::new("the core handler", &[])),
            Self::CoreSocket => Some(Installed::served("the coredump socket", &[])),
        };
        if let Some(installed) = installed {
            return system_wide::run(&installed.expect("the system-wide net is set up"), words);
        }
        let _undisturbed = core_pattern::undisturbed();
        let folder = tempfile::tempdir().unwrap();
        // A program that changes its user needs a place for its own directory.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let store = folder.path().join("dumps");
        let mut command = self.command(&store, words);
        let finished = process::run(command.current_dir(folder.path()));
        let is_around = self == Self::Supervisor;
        let end = if is_around { end_by_code(finished.status) } else { plain_end(&finished) };
        // What a program had reserved for its own dump goes with its handler, a little later.
        let paths = dump_files(&store.join("pending"));
        for path in &paths {
            assert!(
                !is_around || finished.stderr.contains(path.to_str().unwrap()),
                "{} in {}",
                path.display(),
                finished.stderr
            );
        }
        let dumps = paths.iter().map(|path| Dump::of(std::fs::read(path).unwrap())).collect();
        Outcome { end, facts: facts(&finished), stderr: finished.stderr, dumps }
    }

    /// The command line that runs `words` with dumps into `store`.
    pub fn command(self, store: &Path, words: &[OsString]) -> Command {
        match self {
            Self::Supervisor => {
                let mut command = Command::new(programs::dumper());
                command.arg("run").arg("-d").arg(store).arg("--").args(words);
                command
            }
            Self::Client => {
                let (program, arguments) = words.split_first().expect("a command has a program");
                let mut command = Command::new(program);
                command
                    .args(arguments)
                    .env("CRASHER_DUMPS", store)
                    .env("CRASHER_HANDLER", programs::dumper());
                command
            }
            Self::CoreHandler | Self::CoreSocket => panic!("no command of ours stands around {words:?}"),
        }
    }
}

/// How `words` end when nobody looks.
#[track_caller]
pub fn alone(words: &[OsString]) -> End {
    // A core file, where the system makes them, goes with the folder.
    let folder = tempfile::tempdir().unwrap();
    let _undisturbed = core_pattern::undisturbed();
    let (program, arguments) = words.split_first().expect("a command has a program");
    plain_end(&process::run(Command::new(program).args(arguments).current_dir(folder.path())))
}

/// The end of a command around which nothing stands.
#[track_caller]
pub fn plain_end(finished: &Finished) -> End {
    match finished.status.signal() {
        Some(signal) => End::Signal(signal),
        None => end_by_code(finished.status),
    }
}

/// The end of a command as a shell tells it: more than 128 for a signal.
#[track_caller]
pub fn end_by_code(status: ExitStatus) -> End {
    match status.code() {
        Some(code @ 129..=192) => End::Signal(code - 128),
        Some(code) => End::Code(code),
        // It tells a shell of Ctrl-C in the only way that ends a script.
        None if status.signal() == Some(libc::SIGINT) => End::Signal(libc::SIGINT),
        None => panic!("the supervisor itself was killed: {status}"),
    }
}

/// All dumps below `folder`, which need not exist.
pub fn dump_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let found = paths.flat_map(|path| match path {
        path if path.is_dir() => dump_files(&path),
        path if path.extension().is_some_and(|extension| extension == "dmp") => vec![path],
        _ => Vec::new(),
    });
    found.collect()
}

/// The lines of standard output.
pub fn facts(finished: &Finished) -> Vec<Value> {
    let text = String::from_utf8_lossy(&finished.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}
