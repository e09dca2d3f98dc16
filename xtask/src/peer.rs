//! The driver for the published `minidump-writer` crate (`tests/peer`, a workspace of its own).

use crate::{
    places,
    shell::{self, Outcome},
};
use std::{path::PathBuf, process::Command};

/// Builds the driver with optimisations and returns the path of its program.
pub fn build() -> Outcome<PathBuf> {
    shell::run(cargo("build").args(["--release", "--locked"]))?;
    Ok(target().join("release/peer"))
}

/// A cargo subcommand on the driver's workspace, in a target folder that does not disturb the main one.
pub fn cargo(subcommand: &str) -> Command {
    let mut command = shell::cargo();
    command.arg(subcommand).arg("--manifest-path").arg(places::peer_manifest());
    command.env("CARGO_TARGET_DIR", target());
    command
}

fn target() -> PathBuf {
    places::target().join("peer")
}
