//! Starting programs for Windows.

use end_to_end::process::{self, Finished};
use end_to_end::{Dump, Target, dump_by};
use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

fn variable(name: &str) -> PathBuf {
    env::var_os(name).unwrap_or_else(|| panic!("{name} is not set")).into()
}

/// Whether the programs are those of 64 bits.
pub fn is_wide() -> bool {
    variable("WINDOWS_ARCHITECTURE").as_os_str() == "x86_64"
}

/// Where a program is, for readers.
pub fn here(program: &str) -> PathBuf {
    variable("WINDOWS_PROGRAMS_HERE").join(program)
}

/// Where Wine sees it.
pub fn there(program: &str) -> PathBuf {
    variable("WINDOWS_PROGRAMS").join(program)
}

/// The crasher, for readers.
pub fn crasher_here() -> PathBuf {
    here("windows-crasher.exe")
}

/// A program of ours in Wine, to be completed. It starts in a folder that Wine sees.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(variable("WINDOWS_RUNNER"));
    command.arg(there(program)).current_dir(env::temp_dir());
    command
}

/// The dumper.
pub fn dumper() -> Command {
    command("minidump-writer.exe")
}

/// Starts a scenario.
#[track_caller]
pub fn start(words: &[&str]) -> Target {
    Target::start_command(command("windows-crasher.exe").args(words))
}

/// The process id that Windows knows the target by.
#[track_caller]
pub fn pid(target: &Target) -> String {
    target.number("pid").to_string()
}

/// Dumps a target with further arguments.
#[track_caller]
pub fn dump_with<S: AsRef<OsStr>>(target: &Target, arguments: impl IntoIterator<Item = S>) -> Dump {
    dump_by(dumper().arg("dump").arg(pid(target)), arguments)
}

/// Dumps a target.
#[track_caller]
pub fn dump(target: &Target) -> Dump {
    dump_with(target, [""; 0])
}

/// Runs a scenario that ends by itself.
#[track_caller]
pub fn run_crasher(words: &[&str]) -> Finished {
    process::run(command("windows-crasher.exe").args(words))
}
