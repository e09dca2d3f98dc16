//! `cargo xtask ci windows`: the program for Windows dumps processes of Windows, in Wine (`tests/windows`).
//!
//! Each of the two bitnesses has a Wine of its own: the system's for 64 bits, and one in a small Debian of 32 bits.

mod i386;
mod unit_tests;
pub mod wine;

use crate::{
    cross,
    shell::{self, Outcome},
};
use std::{path::Path, time::Instant};
use wine::Wine;

/// What runs there, by package and program.
const PROGRAMS: &[(&str, &str)] = &[
    ("minidump-cli", "minidump-writer.exe"),
    ("windows-crashers", "windows-crasher.exe"),
    ("windows-dumpers", "windows-dumper.exe"),
];

/// Makes a Wine ready, or says why there is none.
type Maker = fn() -> Outcome<Wine>;

/// The test that takes minutes.
const LONG: &str = "a_thousand_dumps";

/// Builds the programs for 64 bits, and runs the tests with them, and those of the crates.
pub fn check() -> Outcome {
    check_one("x86_64", Wine::ready, &["--skip", LONG])
}

/// What takes minutes.
pub fn check_long() -> Outcome {
    check_one("x86_64", Wine::ready, &[LONG])
}

/// The tests with the programs for 32 bits.
pub fn check_32_bits() -> Outcome {
    check_one("i686", i386::ready, &[])
}

fn check_one(architecture: &str, ready: Maker, words: &[&str]) -> Outcome {
    setup_readers()?;
    let ready = timed(&format!("{architecture}: Wine"), ready);
    match ready.and_then(|wine| Ok((build(architecture)?, wine))) {
        Ok((folder, wine)) => test(architecture, &folder, &wine, words),
        Err(why) => shell::missing(format!("{why}; the program for {architecture} Windows is not run")),
    }
}

/// Readers that we did not write.
fn setup_readers() -> Outcome {
    crate::setup::tools(&[])
}

/// Builds the programs. Returns their folder.
pub fn build(architecture: &str) -> Outcome<std::path::PathBuf> {
    let target = format!("{architecture}-pc-windows-gnu");
    timed(&format!("{architecture}: building"), || {
        let mut command = cross::windows::cargo("build", &target)?;
        for (package, _) in PROGRAMS {
            command.args(["--package", package]);
        }
        shell::run(&mut command)
    })?;
    Ok(crate::places::root().join(cross::folder()).join(target).join("debug"))
}

fn test(architecture: &str, folder: &Path, wine: &Wine, words: &[&str]) -> Outcome {
    let programs = wine.admit(folder, PROGRAMS.iter().map(|(_, program)| *program))?;
    let _server = wine.serve()?;
    let of_crates = match words {
        [] => &[],
        [LONG] => unit_tests::LONG_TESTS,
        _ => unit_tests::TESTS,
    };
    timed(&format!("{architecture}: tests of the crates"), || unit_tests::run(wine, of_crates))?;
    let mut tests = shell::cargo();
    tests.args(["test", "--locked", "--package", "windows-end-to-end", "--features", "proof"]);
    // One after the other: Wine 8's server falls over a list of handles, which a dump asks for, while another process has none, as at
    // its birth.
    tests.args(["--", "--test-threads", "1"]).args(words);
    wine.apply(&mut tests);
    tests.env("WINDOWS_ARCHITECTURE", architecture).env("WINDOWS_RUNNER", wine.runner());
    tests.env("WINDOWS_PROGRAMS", programs).env("WINDOWS_PROGRAMS_HERE", folder);
    timed(&format!("{architecture}: tests"), || shell::run(&mut tests))
}

/// Does `work` and says how long it took.
fn timed<T>(what: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let start = Instant::now();
    let outcome = work();
    eprintln!("windows: {what}: {} s", start.elapsed().as_secs());
    outcome
}
