//! `cargo xtask ci`: every check that a change has to pass. All of them run, also after one has failed, so that one
//! round tells everything.

use crate::{
    apple, cross, deny, instructions, minidumper, peer, setup,
    shell::{self, Outcome},
    test,
};
use std::{
    panic,
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

type Check = fn() -> Outcome;

/// Cheap checks first; the tests last, so that their summary closes the output.
const CHECKS: &[(&str, Check)] = &[
    ("lock", lock_files),
    ("fmt", format),
    ("clippy", clippy),
    ("doc", documentation),
    ("cross", cross::check),
    ("emulator", libraries_for_macos),
    ("dist", static_program),
    ("peer", published_crate),
    ("minidumper", minidumper::test),
    ("release", release_build),
    ("capi", c_interface),
    ("instructions", instructions),
    ("deny", deny::check),
    ("tools", tools),
    ("foreign", foreign_host),
    ("windows", windows),
    ("apple", apple::check),
    ("test", tests),
];

/// Checks that run only where somebody names them: they take more time than a change has.
const BY_NAME: &[(&str, Check)] = &[("windows32", windows_32_bits), ("windows-long", windows_long)];

/// The check with which programs that later ones use begin to be built: what links our own programs keeps one processor busy
/// for minutes.
const PREFETCH_WITH: &str = "dist";
/// Checks that wait for these programs: the first that uses one of them, and the others are behind it.
const PREFETCHED_FOR: &[&str] = &["deny", "tools", "windows", "apple", "test"];

/// Programs of other makers that are being built.
static PREFETCH: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// Begins to build them. What fails is tried again, and told, by the check that needs it.
fn prefetch() {
    let handle = thread::spawn(|| {
        let _ = setup::registry_programs();
    });
    *PREFETCH.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
}

/// Waits for them.
fn prefetched() {
    let handle = PREFETCH.lock().unwrap_or_else(PoisonError::into_inner).take();
    let _ = handle.map(JoinHandle::join);
}

/// Runs all checks, or those that are named, and says which failed.
pub fn run(wanted: &[String]) -> Outcome {
    let known = || CHECKS.iter().chain(BY_NAME);
    let names = || known().map(|(name, _)| *name);
    if let Some(unknown) = wanted.iter().find(|name| !names().any(|known| known == name.as_str())) {
        let names: Vec<&str> = names().collect();
        return Err(format!("there is no check '{unknown}'; there are: {}", names.join(", ")).into());
    }
    let mut rows = Vec::new();
    let all = if wanted.is_empty() { CHECKS } else { &[] };
    let named = known().filter(|(name, _)| wanted.iter().any(|one| one == name));
    for (name, check) in all.iter().chain(named) {
        if wanted.is_empty() && *name == PREFETCH_WITH {
            prefetch();
        }
        if PREFETCHED_FOR.contains(name) {
            prefetched();
        }
        eprintln!("\n==> {name}");
        let start = Instant::now();
        let outcome = panic::catch_unwind(check).unwrap_or_else(|_| Err("the check itself broke".into()));
        if let Err(failure) = &outcome {
            eprintln!("xtask: {failure}");
        }
        rows.push((*name, outcome, start.elapsed()));
    }
    eprintln!("\n==> summary");
    for (name, outcome, time) in &rows {
        eprintln!("{}", row(name, outcome, *time));
    }
    let failed: Vec<&str> =
        rows.iter().filter(|(_, outcome, _)| outcome.is_err()).map(|(name, ..)| *name).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

fn row(name: &str, outcome: &Outcome, time: Duration) -> String {
    let word = if outcome.is_ok() { "ok" } else { "FAILED" };
    format!("{name:<13}{word:<8}{:>5} s", time.as_secs())
}

fn lock_files() -> Outcome {
    shell::run(shell::cargo().args(["fetch", "--locked"]))?;
    shell::run(peer::cargo("fetch").arg("--locked"))?;
    shell::run(minidumper::cargo("fetch").arg("--locked"))
}

fn format() -> Outcome {
    let workspace = shell::run(shell::cargo().args(["fmt", "--all", "--", "--check"]));
    let peer = shell::run(peer::cargo("fmt").args(["--", "--check"]));
    let minidumper = shell::run(minidumper::cargo("fmt").args(["--", "--check"]));
    workspace.and(peer).and(minidumper)
}

fn clippy() -> Outcome {
    let strict = ["--all-targets", "--locked", "--", "-D", "warnings"];
    let workspace = shell::run(shell::cargo().args(["clippy", "--workspace"]).args(strict));
    // Its tests need an emulator, so the workspace does without them.
    let emulated = ["clippy", "--package", "apple-emulator", "--features", "proof"];
    let emulator = shell::run(shell::cargo().args(emulated).args(strict));
    // Nor is there a foreign host for these.
    let foreign = ["clippy", "--package", "foreign-host", "--features", "proof"];
    let foreign = shell::run(shell::cargo().args(foreign).args(strict));
    // Nor a Windows for these.
    let windows = ["clippy", "--package", "windows-end-to-end", "--features", "proof"];
    let windows = shell::run(shell::cargo().args(windows).args(strict));
    let peer = shell::run(peer::cargo("clippy").args(strict));
    let minidumper = shell::run(minidumper::cargo("clippy").args(strict));
    workspace.and(emulator).and(foreign).and(windows).and(peer).and(minidumper)
}

fn documentation() -> Outcome {
    let mut command = shell::cargo();
    // The libraries only: the program has the name of one of them, and both would be written to the same place.
    command.args(["doc", "--workspace", "--lib", "--no-deps", "--locked"]);
    shell::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn published_crate() -> Outcome {
    peer::build().map(drop)
}

fn release_build() -> Outcome {
    shell::run(shell::cargo().args(["build", "--release", "--locked"]))?;
    smoke_bench()
}

/// One short round of the bench: the harness works, both programs' dumps are whole, and memory stays within its bound.
/// It judges no times.
#[cfg(target_os = "linux")]
fn smoke_bench() -> Outcome {
    crate::bench::run(&["smoke".to_owned()])
}

#[cfg(not(target_os = "linux"))]
fn smoke_bench() -> Outcome {
    Ok(())
}

/// Figures for people to look at: this fails only when there are none.
fn instructions() -> Outcome {
    instructions::run(&[])
}

#[cfg(target_os = "linux")]
fn static_program() -> Outcome {
    crate::dist::check()
}

#[cfg(not(target_os = "linux"))]
fn static_program() -> Outcome {
    Ok(())
}

#[cfg(target_os = "linux")]
fn libraries_for_macos() -> Outcome {
    crate::apple_emulator::check()
}

#[cfg(not(target_os = "linux"))]
fn libraries_for_macos() -> Outcome {
    Ok(())
}

#[cfg(target_os = "linux")]
fn foreign_host() -> Outcome {
    crate::foreign_host::check()
}

#[cfg(not(target_os = "linux"))]
fn foreign_host() -> Outcome {
    Ok(())
}

#[cfg(target_os = "linux")]
fn windows() -> Outcome {
    crate::windows::check()
}

#[cfg(not(target_os = "linux"))]
fn windows() -> Outcome {
    Ok(())
}

#[cfg(target_os = "linux")]
fn windows_long() -> Outcome {
    crate::windows::check_long()
}

#[cfg(not(target_os = "linux"))]
fn windows_long() -> Outcome {
    Ok(())
}

#[cfg(target_os = "linux")]
fn windows_32_bits() -> Outcome {
    crate::windows::check_32_bits()
}

#[cfg(not(target_os = "linux"))]
fn windows_32_bits() -> Outcome {
    Ok(())
}

#[cfg(target_os = "linux")]
fn c_interface() -> Outcome {
    crate::capi::check()
}

#[cfg(not(target_os = "linux"))]
fn c_interface() -> Outcome {
    Ok(())
}

fn tools() -> Outcome {
    setup::tools(&[])
}

fn tests() -> Outcome {
    test::suite(&[])
}
