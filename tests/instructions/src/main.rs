//! Parts of a dump that are done without the kernel, one to a run, for callgrind to count their instructions.
//!
//! `instructions` lists them, each with what it goes through; `instructions NAME` runs one. Only what
//! [`measured`](measured::measured) calls is to be counted: `cargo xtask instructions` does that.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod benches;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod image;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod libraries;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod maps_text;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod measured;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod snapshots;

use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        for bench in benches::BENCHES {
            println!("{}\t{}\t{}", bench.name, bench.count, bench.unit);
        }
        return ExitCode::SUCCESS;
    };
    let Some(bench) = benches::BENCHES.iter().find(|bench| bench.name == name) else {
        eprintln!("there is no bench '{name}'");
        return ExitCode::FAILURE;
    };
    match (bench.run)(bench.count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{name}: {why}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() -> ExitCode {
    eprintln!("only Linux on x86-64 has a back end to measure");
    ExitCode::FAILURE
}
