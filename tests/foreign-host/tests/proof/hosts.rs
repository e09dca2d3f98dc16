//! The two builds.

use end_to_end::process::Guarded;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};
use tempfile::TempDir;

/// A build of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// For this machine.
    Native,
    /// For the other one.
    Foreign,
}

/// What a run left.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    pub code: Option<i32>,
    pub output: Vec<u8>,
    pub complaint: String,
}

impl Host {
    fn program(self) -> Command {
        if self == Self::Native {
            return Command::new(end_to_end::programs::dumper());
        }
        let variable = |name| env::var_os(name).unwrap_or_else(|| panic!("{name} is not set"));
        let program = PathBuf::from(variable("FOREIGN_PROGRAM"));
        let Some(runner) = env::var_os("FOREIGN_RUNNER").filter(|runner| !runner.is_empty()) else {
            return Command::new(program);
        };
        let mut command = Command::new(runner);
        command.arg(program);
        command
    }

    /// Runs the program in `folder`, with the contents of the file `input` there as its standard input.
    #[track_caller]
    pub fn run(self, folder: &Path, arguments: &[&str], input: Option<&str>) -> Left {
        // Files, not pipes: what Wine leaves running in the background would hold their ends.
        let scratch = TempDir::new().unwrap();
        let make = |name: &str| File::create(scratch.path().join(name)).unwrap();
        let mut command = self.program();
        command.current_dir(folder).args(arguments).stdout(make("out")).stderr(make("err"));
        match input {
            Some(name) => command.stdin(File::open(folder.join(name)).unwrap()),
            None => command.stdin(Stdio::null()),
        };
        let status = Guarded::start(&mut command).wait(&format!("{command:?}"));
        let read = |name: &str| fs::read(scratch.path().join(name)).unwrap();
        let complaint = String::from_utf8_lossy(&read("err")).into_owned();
        Left { code: status.code(), output: read("out"), complaint }
    }
}
