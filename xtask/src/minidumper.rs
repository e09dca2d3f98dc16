//! The published minidumper crate on top of this repository's writer (`tests/minidumper`, a workspace of its own).

use crate::{
    places,
    shell::{self, Outcome},
};
use std::{path::PathBuf, process::Command};

/// Crashes in all kinds of ways and checks the reports.
pub fn test() -> Outcome {
    shell::run(cargo("test").arg("--locked"))
}

/// A cargo subcommand on that workspace, in a target folder that does not disturb the main one.
pub fn cargo(subcommand: &str) -> Command {
    let mut command = shell::cargo();
    command.arg(subcommand).arg("--manifest-path").arg(manifest());
    command.env("CARGO_TARGET_DIR", places::target().join("minidumper"));
    command
}

/// The manifest of that workspace.
pub fn manifest() -> PathBuf {
    places::root().join("tests/minidumper/Cargo.toml")
}
