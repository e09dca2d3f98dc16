//! `cargo xtask apple`: macOS dumps of simulated tasks, in readers that we did not write (`tests/apple`).

use crate::{
    setup,
    shell::{self, Outcome},
};

/// The package of the tests.
pub const PACKAGE: &str = "apple-tests";

/// Installs what is missing and runs the tests. Arguments go to `cargo test`.
pub fn run(arguments: &[String]) -> Outcome {
    setup::apple()?;
    shell::run(shell::cargo().args(["test", "--locked", "--package", PACKAGE]).args(arguments))
}

/// As a check among others: here a missing tool is an error.
pub fn check() -> Outcome {
    run(&[])
}
