//! The column of the system-wide net: nothing stands around the program, the kernel hands its core over.

use super::way::{self, Outcome};
use crate::Dump;
use crate::core_pattern::Installed;
use crate::process;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// `MD_LINUX_ENVIRON`
const ENVIRON: u32 = 0x4767_0007;
/// Marks the processes of one run: crashes of others are dumped, too.
const RUN: &str = "CRASH_MATRIX_RUN";

/// Runs `words` to its end, with the core handler installed meanwhile.
#[track_caller]
pub fn run(installed: &Installed, words: &[OsString]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let (program, arguments) = words.split_first().expect("a command has a program");
    let mut command = Command::new(program);
    let finished = process::run(command.args(arguments).current_dir(folder.path()).env(RUN, folder.path()));
    let paths = installed.all().into_iter().map(|(path, _)| path);
    let dumps = paths.map(|path| Dump::of(std::fs::read(path).unwrap()));
    let dumps = dumps.filter(|dump| is_of_run(dump, folder.path())).collect();
    let (end, facts) = (way::plain_end(&finished), way::facts(&finished));
    Outcome { end, facts, stderr: finished.stderr, dumps }
}

fn is_of_run(dump: &Dump, run: &Path) -> bool {
    let variable = format!("{RUN}={}", run.display());
    let environ = dump.stream(ENVIRON).unwrap_or_default();
    environ.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
}
