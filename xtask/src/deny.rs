//! Licences, sources and known defects of the dependencies, through `cargo-deny` and `deny.toml`.

use crate::{
    setup,
    shell::{self, Outcome},
};
use std::path::Path;

/// Longest wait for the advisory database, in seconds.
const FETCH_SECONDS: &str = "90";

/// Fails on a dependency that `deny.toml` does not allow.
pub fn check() -> Outcome {
    let deny = setup::deny()?;
    // What is checked lies in the checkout and needs no network; the crates have been fetched before.
    let allowed = shell::run(shell::program(&deny).args([
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]));
    allowed.and(advisories(&deny))
}

/// Looks for dependencies with known defects. The database of those lives on a server that not every machine can reach,
/// so only a database that is there can fail the check.
fn advisories(deny: &Path) -> Outcome {
    let mut fetch = shell::program("timeout");
    fetch.args(["--kill-after=5", FETCH_SECONDS]).arg(deny).args(["fetch", "db"]);
    // A server that asks for a name gets no answer instead of stopping everything.
    fetch.env("GIT_TERMINAL_PROMPT", "0");
    if let Err(failure) = shell::run(&mut fetch) {
        eprintln!("xtask: {failure}; the advisories were NOT checked");
        return Ok(());
    }
    shell::run(shell::program(deny).args(["--offline", "check", "--hide-inclusion-graph", "advisories"]))
}
