//! Running other programs, and the one error type of these tasks.

use crate::places;
use std::{
    env,
    ffi::OsStr,
    fmt, io,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Why a task failed: one sentence for the person who started it.
#[derive(Debug)]
pub struct Failure(String);

/// What a task comes to.
pub type Outcome<T = ()> = Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}

impl From<&str> for Failure {
    fn from(sentence: &str) -> Self {
        Self(sentence.to_owned())
    }
}

/// Says what was being done when the operating system refused.
pub trait Doing<T> {
    /// Turns an I/O error into a [`Failure`] that starts with `what`.
    fn doing(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}

/// The cargo that runs this task, in the root of the checkout.
pub fn cargo() -> Command {
    program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program in the root of the checkout, without a standard input to wait for.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(places::root()).stdin(Stdio::null());
    command
}

/// Shows the command, runs it, and fails when it fails.
pub fn run(command: &mut Command) -> Outcome {
    let line = line(command);
    eprintln!("$ {line}");
    let status = command.status().doing(format_args!("could not start `{line}`"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` ended with {status}").into()) }
}

/// Runs a command quietly and returns what it printed on its standard output; `None` when it could not be started or
/// failed. For questions to programs that may not be there.
pub fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where `PATH` has a program of this name.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

/// Is this an unattended check, where a missing tool must not pass for a passed test?
pub fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

/// A tool is missing: an error in unattended checks, a plain word to a person.
pub fn missing(sentence: impl Into<String>) -> Outcome {
    let sentence = sentence.into();
    if is_ci() {
        return Err(Failure(sentence));
    }
    eprintln!("xtask: {sentence}");
    Ok(())
}

fn line(command: &Command) -> String {
    let name = PathBuf::from(command.get_program());
    let mut line = name.file_name().unwrap_or(name.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
