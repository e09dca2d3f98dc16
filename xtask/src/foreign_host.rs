//! `cargo xtask ci foreign`: the program for Windows reads and converts dumps of other systems, in Wine (`tests/foreign-host`).

use crate::{
    cross,
    shell::{self, Outcome},
    windows::wine::Wine,
};

/// Builds the program, makes Wine ready, and compares what the program does there with what it does here.
pub fn check() -> Outcome {
    let (wine, program) = match Wine::ready().and_then(|wine| Ok((wine, cross::program_for_windows()?))) {
        Ok(both) => both,
        Err(why) => {
            return shell::missing(format!("{why}; dumps are not read on a foreign host"));
        }
    };
    let mut tests = shell::cargo();
    tests.args(["test", "--locked", "--package", "foreign-host", "--features", "proof"]);
    wine.apply(&mut tests);
    shell::run(tests.env("FOREIGN_RUNNER", wine.runner()).env("FOREIGN_PROGRAM", program))
}
