//! `cargo xtask test`: everything the tests need, then the tests.

use crate::{
    apple, setup,
    shell::{self, Outcome},
};

/// Installs the foreign readers, builds the workspace and runs all tests. Arguments go to `cargo test`, for example
/// `-p minidump-formats` or `-- name_of_a_test`; with arguments the examples in the documentation are left out.
pub fn run(arguments: &[String]) -> Outcome {
    setup::tools(&[])?;
    let tested = suite(arguments);
    if arguments.is_empty() { tested.and(apple::run(&[])) } else { tested }
}

/// The tests alone, for callers that have set up the tools. Those of macOS dumps have tools of their own: [`apple`].
pub fn suite(arguments: &[String]) -> Outcome {
    // The end-to-end tests start programs of other packages, which `cargo test` alone would not build: the crashers,
    // and the dumper as users run it. They find the installed tools in the target folder themselves.
    shell::run(shell::cargo().args(["build", "--package", "crashers", "--bins"]))?;
    shell::run(shell::cargo().args(["build", "--package", "minidump-cli", "--release"]))?;
    let mut tests = shell::cargo();
    tests.arg("test");
    if !arguments.iter().any(|argument| matches!(argument.as_str(), "-p" | "--package")) {
        tests.args(["--workspace", "--exclude", apple::PACKAGE]);
    }
    tests.args(["--all-targets", "--no-fail-fast"]).args(arguments);
    let targets = shell::run(&mut tests);
    if !arguments.is_empty() {
        return targets;
    }
    let examples =
        shell::run(shell::cargo().args(["test", "--workspace", "--doc", "--exclude", apple::PACKAGE]));
    targets.and(examples)
}
