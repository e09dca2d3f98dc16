//! The crates' own tests, as programs for Windows.

use super::wine::Wine;
use crate::{
    cross, places,
    shell::{self, Outcome},
};
use std::process::Command;

const TARGET: &str = "x86_64-pc-windows-gnu";

/// Longest that one of these may take, the building included, in seconds. Each test has a deadline of its own.
const PATIENCE: &str = "900";

/// Which tests: package, features, and what follows. Tests of dbghelp are among those with the programs: Wine's takes its time.
pub const TESTS: &[&[&str]] = &[
    &["--package", "minidump-writer", "--lib", "--", "sys::", "windows_process::", "--test-threads=1"],
    &["--package", "minidump-handler", "--features", "client,supervisor", "--lib"],
];

/// Whole crashes handed over, and dumps by the documented API: minutes, and now and then Wine loses one of the crashes.
pub const LONG_TESTS: &[&[&str]] = &[
    &["--package", "minidump-handler", "--features", "client", "--test", "windows"],
    &["--package", "minidump-writer", "--lib", "--", "compat::windows", "--test-threads=1"],
    &["--package", "minidump-writer", "--test", "windows_api"],
];

/// Runs them in `wine`, whose server runs.
pub fn run(wine: &Wine, which: &[&[&str]]) -> Outcome {
    for words in which {
        let mut tests = cross::windows::cargo("test", TARGET)?;
        wine.apply(tests.args(*words).env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", wine.runner()));
        shell::run(&mut within(PATIENCE, &tests))?;
    }
    Ok(())
}

/// `command`, ended after `seconds`.
fn within(seconds: &str, command: &Command) -> Command {
    let mut limited = shell::program("timeout");
    limited.current_dir(places::root()).args(["--kill-after=10", seconds]).arg(command.get_program());
    limited.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}
