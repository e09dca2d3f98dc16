//! Converting dumps with the real program.

use crate::Dump;
use crate::process::{self, Finished};
use crate::programs;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Converts the dump at `input`, with further arguments for `minidump-writer convert`. Fails the test unless that
/// succeeds and reports what it wrote truthfully.
#[track_caller]
pub fn converted<S: AsRef<OsStr>>(input: &Path, arguments: impl IntoIterator<Item = S>) -> Dump {
    converted_by(|output| {
        let mut command = Command::new(programs::dumper());
        process::run(command.arg("convert").arg("--json").arg(input).arg("-o").arg(output).args(arguments))
    })
}

/// The same through a pipe.
#[track_caller]
pub fn converted_through_pipe(input: &Path) -> Dump {
    converted_by(|output| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "cat \"$0\" | \"$1\" convert --json - -o \"$2\""]);
        process::run(shell.arg(input).arg(programs::dumper()).arg(output))
    })
}

#[track_caller]
fn converted_by(run: impl FnOnce(&Path) -> Finished) -> Dump {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("converted");
    let finished = run(&path).expect_success("convert");
    let report: Value = serde_json::from_slice(&finished.stdout).unwrap();
    let bytes = std::fs::read(&path).expect("the converted dump has its final name");
    assert_eq!(report["bytes"], bytes.len(), "the report tells the size of the file");
    Dump { bytes, path, report, _folder: folder }
}
