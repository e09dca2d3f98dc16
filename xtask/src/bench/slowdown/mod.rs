//! `cargo xtask bench run`: what programs cost more below `minidump-writer run` than alone.
//!
//! Each program runs alone and below the supervisor in turns, and who begins changes from round to round. Its work measures
//! itself, so that the start of the supervisor is not in it; that is a row of its own, measured from outside. Writes nothing
//! but a table: `docs/supervisor.md` has one.

mod faults;
mod work;

pub use work::run as work;

use super::{
    contenders, machine, os,
    summary::{median, ratio},
    table,
    units::time,
};
use crate::{
    places,
    shell::{Doing, Outcome},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

const ROUNDS: usize = 11;
/// The program that does nothing.
const NOTHING: &str = "/bin/true";

/// A row: what is done, and how often.
struct Case {
    name: &'static str,
    /// For [`work`]; `None` starts and ends a program.
    work: Option<&'static str>,
    count: usize,
}

const CASES: [Case; 5] = [
    Case { name: "start and end of one program", work: None, count: 1 },
    Case { name: "threads created and joined", work: Some("threads"), count: 10_000 },
    Case { name: "processes forked, with exec", work: Some("processes"), count: 1_000 },
    Case { name: "page faults that the program handles", work: Some("faults"), count: 10_000 },
    Case { name: "steps of a computation", work: Some("compute"), count: 500_000_000 },
];

/// `bench run [ROUNDS]`.
pub fn run(arguments: &[String], ours: Option<&Path>) -> Outcome {
    let rounds = match arguments {
        [] => ROUNDS,
        [number] => {
            number.parse().map_err(|_| format!("'{number}' is no number; use: bench run [ROUNDS]"))?
        }
        _ => return Err("use: bench run [ROUNDS] [--ours PROGRAM]".into()),
    };
    let ours = contenders::ours(ours)?;
    let dumps = places::target().join("bench/run-dumps");
    fs::create_dir_all(&dumps).doing(format_args!("could not create {}", dumps.display()))?;
    // Ordinary priority: threads of a real-time one would run one after the other.
    let conditions = machine::conditions(os::RealTime::none().is_granted());
    println!("{}\n", table::conditions(&conditions).lines().next().unwrap_or_default());
    println!("| what | how many | alone | below `run` | ratio | more for each |\n|---|--:|--:|--:|--:|--:|");
    for case in &CASES {
        let mut times = (Vec::new(), Vec::new());
        // The first round fills caches and does not count.
        for round in 0..=rounds.max(1) {
            let mut measured = [0, 0];
            for turn in 0..2 {
                let supervised = (round + turn) % 2 == 1;
                let supervisor = supervised.then_some((ours.as_path(), &dumps));
                if let Some(time) = measured.get_mut(usize::from(supervised)) {
                    *time = measure(case, supervisor)?;
                }
            }
            if round > 0 {
                times.0.push(measured[0]);
                times.1.push(measured[1]);
            }
        }
        let (alone, below) = (median(times.0.into_iter()), median(times.1.into_iter()));
        println!("{}", row(case, alone, below));
    }
    Ok(())
}

/// Runs it once. Returns how many nanoseconds it took.
fn measure(case: &Case, supervisor: Option<(&Path, &PathBuf)>) -> Outcome<u64> {
    let own = env::current_exe().doing("where is this program?")?;
    let mut words: Vec<PathBuf> = match case.work {
        Some(work) => vec![own, "bench-work".into(), work.into(), case.count.to_string().into()],
        None => vec![NOTHING.into()],
    };
    if let Some((program, dumps)) = supervisor {
        let around = [program.into(), "run".into(), "-q".into(), "-d".into(), dumps.clone(), "--".into()];
        words.splice(0..0, around);
    }
    let (program, rest) = words.split_first().ok_or("there is nothing to run")?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).stderr(Stdio::inherit());
    let begun = Instant::now();
    let output = command.output().doing(format_args!("could not start {}", program.display()))?;
    let whole = nanos(begun);
    if !output.status.success() {
        return Err(format!("{} ended with {}", case.name, output.status).into());
    }
    match case.work {
        None => Ok(whole),
        Some(_) => String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .map_err(|_| format!("the work '{}' told no time", case.name).into()),
    }
}

fn nanos(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn row(case: &Case, alone: u64, below: u64) -> String {
    let count = u64::try_from(case.count).unwrap_or(u64::MAX);
    // Less than a microsecond for each of very many says nothing.
    let more = below.saturating_sub(alone) / count.max(1);
    let more =
        if more < 100 { "–".to_owned() } else { format!("{}.{} µs", more / 1000, more % 1000 / 100) };
    let (name, count) = (case.name, super::units::count(count));
    let [alone_time, below_time] = [alone, below].map(|nanos| time(nanos / 1000));
    format!("| {name} | {count} | {alone_time} | {below_time} | {} | {more} |", ratio(below, alone))
}
