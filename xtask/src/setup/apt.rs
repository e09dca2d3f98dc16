//! System packages, where the system is Debian or like it and we are root.

use crate::shell::{self, Outcome};
use std::{process::Command, sync::OnceLock};

/// Installs packages that are not installed yet.
pub fn install(packages: &[&str]) -> Outcome {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    usable(&missing)?;
    shell::run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(missing))
}

/// The first of these packages that this system can install.
pub fn first_available<'a>(packages: &[&'a str]) -> Outcome<&'a str> {
    usable(packages)?;
    packages
        .iter()
        .copied()
        .find(|package| has_candidate(package))
        .ok_or_else(|| format!("this system has no package {}", packages.join(" or ")).into())
}

fn is_installed(package: &str) -> bool {
    shell::answer(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]))
        .is_some_and(|status| status == "installed")
}

fn has_candidate(package: &str) -> bool {
    shell::answer(Command::new("apt-cache").args(["policy", package])).is_some_and(|policy| {
        policy
            .lines()
            .any(|line| line.trim().strip_prefix("Candidate:").is_some_and(|found| found.trim() != "(none)"))
    })
}

/// Can packages be installed here? Refreshes the lists once, before the first package.
fn usable(packages: &[&str]) -> Outcome {
    static REFRESHED: OnceLock<()> = OnceLock::new();
    let packages = packages.join(" ");
    if shell::find("apt-get").is_none() {
        return Err(format!("there is no apt-get to install {packages} with").into());
    }
    if shell::answer(Command::new("id").arg("-u")).is_none_or(|id| id.trim() != "0") {
        return Err(
            format!("only root can install packages; run `apt-get install {packages}` as root").into()
        );
    }
    REFRESHED.get_or_init(|| {
        // One unreachable source among several fails the refresh, and what we need may well come from another one.
        if let Err(failure) = shell::run(apt_get().arg("update")) {
            eprintln!("xtask: {failure}; going on with the package lists that are here");
        }
    });
    Ok(())
}

fn apt_get() -> Command {
    let mut command = shell::program("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["--quiet", "--quiet"]);
    // A package manager that runs in the background at the same moment is waited for.
    command.args(["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]);
    command
}
