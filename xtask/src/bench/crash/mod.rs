//! `cargo xtask bench crash`: how long it takes from a crash to the end of the program, with a dump in between, next to
//! the published `minidumper` and to a program that nobody protects.
//!
//! All ways take turns, so that whatever else the machine does hits all of them. A round counts only when its dump has
//! all threads. The program is the same for all (`tests/crash-bench/src/program.rs`).

mod burst;
mod crasher;
mod document;
mod dumps;
mod idle;
mod orphans;
mod results;
mod rounds;
mod service;
mod way;

use super::{contenders, machine, os};
use crate::{
    peer, places,
    shell::{self, Doing, Outcome},
};
use results::{CaseResults, CrashResults};
use std::{
    fs,
    path::{Path, PathBuf},
};
use way::{Programs, Way};

/// Threads of the program.
const THREADS: [usize; 4] = [4, 16, 128, 1000];
/// What is live of each stack, in KiB.
const LIVE_KIB: usize = 16;
/// Rounds without another number.
const ROUNDS: usize = 20;
const USAGE: &str = "use: bench crash [ROUNDS|report] [--ours PROGRAM]";

/// Measures, prints the tables, and writes them into the documentation.
pub fn run(arguments: &[String], ours: Option<&Path>) -> Outcome {
    let rounds = match arguments {
        [] => ROUNDS,
        [word] if word == "report" => return document::write(&results::read(&document::numbers())?),
        [number] => number.parse().ok().filter(|rounds| *rounds > 0).ok_or(USAGE)?,
        _ => return Err(USAGE.into()),
    };
    let programs = build(ours)?;
    let folder = places::target().join("bench/crash");
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    os::adopt_orphans().doing("could not ask for the orphans of children")?;
    let results = measure(&programs, &folder, rounds)?;
    document::write(&results)?;
    println!("\n{}", document::text(&results));
    document::verdict(&results)
}

fn build(ours: Option<&Path>) -> Outcome<Programs> {
    let handler = contenders::ours(ours)?;
    shell::run(shell::cargo().args(["build", "--release", "--locked", "--package", "crash-bench"]))?;
    let peer = peer::build()?.with_file_name("crash-peer");
    Ok(Programs { handler, ours: places::target().join("release/crash-bench"), peer })
}

fn measure(programs: &Programs, folder: &Path, rounds: usize) -> Outcome<CrashResults> {
    let before = machine::processor_pressure();
    let mut cases = Vec::new();
    for threads in THREADS {
        let case = rounds::measure(programs, folder, threads, LIVE_KIB, rounds)?;
        print_case(&case);
        cases.push(case);
    }
    let idle = idle::measure(programs, folder)?;
    let pressure = [before, machine::processor_pressure()];
    let bursts = burst::measure(programs, folder)?;
    let conditions = machine::conditions(false);
    Ok(CrashResults { conditions, pressure, rounds, cases, idle, bursts })
}

fn print_case(case: &CaseResults) {
    println!("{} threads", case.threads);
    for way in &case.ways {
        println!(
            "  {:<28}{:>9} us (least {:>7})   start {:>6} us   dump {:>7} KiB",
            way.name,
            way.exit_us.median,
            way.exit_us.least,
            way.start_us.median,
            way.bytes >> 10
        );
    }
}

/// A new, empty folder.
fn fresh(folder: &Path, name: &str) -> Outcome<PathBuf> {
    let path = folder.join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).doing(format_args!("could not create {}", path.display()))?;
    Ok(path)
}

/// All ways, in the order of the tables.
const WAYS: [Way; 4] = [Way::Handler, Way::Peer, Way::Alone, Way::None];
