//! `cargo xtask bench`: how long a dump makes its target stand still, and what it costs, next to the published crate, to
//! `gcore`, and to the least that any dumper has to do (`tests/floor`).
//!
//! All programs dump the same process in turns, so that whatever else the machine does hits all of them. The standstill
//! is not what a dumper says of itself: a thread of the target measures it from the inside (see [`sampler`]).

mod arguments;
mod case;
mod contenders;
mod crash;
mod document;
mod dump_file;
mod dumper;
mod libraries;
mod live;
mod machine;
pub mod memory;
mod os;
mod plots;
mod results;
mod run;
mod sampler;
pub mod slowdown;
mod strace;
mod summary;
mod svg;
mod table;
pub mod target;
mod units;
mod verdict;
mod windows;

use crate::{
    places,
    shell::{Doing, Outcome},
};
use arguments::Arguments;
use case::Plan;
use contenders::Contenders;
use results::Results;
use std::{fs, path::PathBuf};
use summary::Summary;

/// Runs a plan, prints its table, writes `bench.json` into the target folder, and fails when our program misses what
/// the plan asks of it. The full plan writes the documentation, too.
pub fn run(arguments: &[String]) -> Outcome {
    let arguments = Arguments::parse(arguments)?;
    match arguments.plan() {
        "crash" => return crash::run(arguments.rest(), arguments.ours.as_deref()),
        "memory" => return memory::run(arguments.rest(), arguments.ours.as_deref()),
        "run" => return slowdown::run(arguments.rest(), arguments.ours.as_deref()),
        "windows" => {
            arguments.no_more()?;
            return windows::run();
        }
        "report" => return document::write(&measured()?),
        _ => {}
    }
    let plan = Plan::named(arguments.plan())?;
    arguments.no_more()?;
    let rounds = arguments.rounds.unwrap_or(plan.rounds);
    let contenders = Contenders::build(&plan, rounds, arguments.ours.as_deref())?;
    let folder = places::target().join("bench");
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    if plan.cases.iter().any(|case| case.libraries > 0) {
        libraries::build(&folder)?;
    }
    let results = run::run(&plan, &contenders, &folder)?;
    let summary = Summary::of(&results);
    write_results(&results)?;
    if plan.thorough {
        println!("\n{}", verdict::table(&verdict::verdicts(&summary)));
        document::write(&summary)?;
    }
    let complaints = verdict::complaints(&summary, &plan);
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n       ").into()) }
}

fn results_file() -> PathBuf {
    places::target().join("bench.json")
}

fn write_results(results: &Results) -> Outcome {
    let path = results_file();
    let text = serde_json::to_string_pretty(results).map_err(|error| error.to_string())?;
    fs::write(&path, text + "\n").doing(format_args!("could not write {}", path.display()))
}

/// The results of the last run of the full plan; if another plan has run since, those that the documentation has.
fn measured() -> Outcome<Summary> {
    let last = fs::read_to_string(results_file()).ok();
    let last = last.and_then(|text| serde_json::from_str::<Results>(&text).ok());
    if let Some(results) = last.filter(|results| results.plan == "full") {
        return Ok(Summary::of(&results));
    }
    let path = document::numbers();
    eprintln!("xtask: the last bench was not `full`; taking the numbers from {}", path.display());
    let text = fs::read_to_string(&path).doing(format_args!("could not read {}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}
