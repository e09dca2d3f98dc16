//! Making dumps with the real program.

use crate::process::{self, Finished};
use crate::programs;
use minidump::Minidump;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A finished dump and what the program said about it.
#[derive(Debug)]
pub struct Dump {
    /// The file.
    pub bytes: Vec<u8>,
    /// Where it lies, as long as this lives.
    pub path: PathBuf,
    /// What `--json` printed.
    pub report: Value,
    pub(crate) _folder: TempDir,
}

impl Dump {
    /// A dump that did not come from the program.
    #[track_caller]
    pub fn of(bytes: Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("target.dmp");
        std::fs::write(&path, &bytes).unwrap();
        Self { bytes, path, report: Value::Null, _folder: folder }
    }

    /// The dump as the `minidump` crate sees it.
    #[track_caller]
    pub fn parse(&self) -> Minidump<'_, &[u8]> {
        Minidump::read(self.bytes.as_slice())
            .unwrap_or_else(|error| panic!("the minidump crate refuses the dump: {error}"))
    }
}

/// Dumps process `pid` with default options.
#[track_caller]
pub fn dump(pid: i32) -> Dump {
    dump_with(pid, [""; 0])
}

/// Dumps process `pid` with further arguments for `minidump-writer dump`. Fails the test unless that succeeds and
/// reports what it wrote truthfully.
#[track_caller]
pub fn dump_with<S: AsRef<OsStr>>(pid: i32, arguments: impl IntoIterator<Item = S>) -> Dump {
    dump_by(&mut dump_command(pid), arguments)
}

/// The same by a command that is `dump PID` of any build of the program, which sees the folder that it is started in.
#[track_caller]
pub fn dump_by<S: AsRef<OsStr>>(command: &mut Command, arguments: impl IntoIterator<Item = S>) -> Dump {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target.dmp");
    command.current_dir(folder.path()).args(["--json", "-o", "target.dmp"]).args(arguments);
    let finished = process::run(command).expect_success("dump");
    let report: Value = serde_json::from_slice(&finished.stdout).unwrap_or_else(|error| {
        panic!("--json prints one JSON object: {error}: {:?}", lossy(&finished.stdout))
    });
    let bytes = std::fs::read(&path).expect("the dump has its final name");
    assert_eq!(report["bytes"], bytes.len(), "the report tells the size of the file");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing but the dump is left in its folder");
    Dump { bytes, path, report, _folder: folder }
}

/// `minidump-writer dump PID`, to be completed.
pub fn dump_command(pid: i32) -> Command {
    let mut command = Command::new(programs::dumper());
    command.arg("dump").arg(pid.to_string());
    command
}

/// Runs the program to its end, whatever that is.
#[track_caller]
pub fn run_dumper<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Finished {
    process::run(Command::new(programs::dumper()).args(arguments))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
