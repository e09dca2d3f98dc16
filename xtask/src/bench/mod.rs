//! `cargo xtask bench`: how long a dump makes its target stand still, and what it costs, next to the published crate.
//!
//! Both programs dump the same process in turns, so that whatever else the machine does hits both. The standstill is
//! not what a dumper says of itself: a thread of the target measures it from the inside (see [`sampler`]).

mod case;
mod dumper;
mod libraries;
mod live;
pub mod memory;
mod os;
mod report;
mod sample;
mod sampler;
pub mod target;
mod verdict;

use crate::{
    peer, places,
    shell::{self, Doing, Outcome},
};
use case::{Case, Plan};
use dumper::Dumper;
use live::Target;
use sample::{Pair, Round};
use std::{fs, path::Path, thread};

/// Runs a plan, prints its table, writes `bench.json` into the target folder, and fails when our program is slower than
/// the published one or holds too much memory.
pub fn run(arguments: &[String]) -> Outcome {
    if let Some(("memory", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return memory::run(rest);
    }
    let plan = match arguments {
        [] => Plan::named("quick")?,
        [name] => Plan::named(name)?,
        _ => {
            return Err(
                "bench takes one argument: quick, full or smoke, or memory [MIB] [ROUNDS] [FOLDER]".into()
            );
        }
    };
    let dumpers = build()?;
    let folder = places::target().join("bench");
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    if plan.cases.iter().any(|case| case.libraries > 0) {
        libraries::build(&folder)?;
    }

    // Times that nobody judges need no undisturbed machine.
    let priority = if plan.timed { os::RealTime::ask(os::HARNESS_PRIORITY) } else { os::RealTime::none() };
    let real_time = priority.is_granted();
    println!("{}\n", report::conditions(real_time));
    println!("{}", report::heading());
    let mut results = Vec::new();
    for case in plan.cases {
        let rounds = measure(case, plan.rounds, &dumpers, &folder)?;
        print!("{}", report::rows(case, &rounds));
        results.push((*case, rounds));
    }
    drop(priority);

    let path = places::target().join("bench.json");
    fs::write(&path, report::json(plan.name, real_time, &results))
        .doing(format_args!("could not write {}", path.display()))?;
    let complaints = verdict::complaints(&results, plan.timed);
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n       ").into()) }
}

/// Builds both programs the way they would be shipped.
fn build() -> Outcome<Pair<Dumper>> {
    shell::run(shell::cargo().args(["build", "--release", "--package", "minidump-cli"]))?;
    let ours = places::target().join("release/minidump-writer");
    Ok(Pair { ours: Dumper::ours(ours), peer: Dumper::peer(peer::build()?) })
}

fn measure(case: &Case, rounds: usize, dumpers: &Pair<Dumper>, folder: &Path) -> Outcome<Vec<Round>> {
    let mut target = Target::start(case)?;
    // The first dump of a process fills caches of the kernel and of the disk for everyone after it.
    dumpers.peer.dump(&mut target, folder)?;
    dumpers.ours.dump(&mut target, folder)?;
    (0..rounds).map(|number| round(number, &mut target, dumpers, folder)).collect()
}

fn round(number: usize, target: &mut Target, dumpers: &Pair<Dumper>, folder: &Path) -> Outcome<Round> {
    // Who goes first changes from round to round.
    let (ours, peer);
    if number.is_multiple_of(2) {
        ours = dumpers.ours.dump(target, folder)?;
        peer = dumpers.peer.dump(target, folder)?;
    } else {
        peer = dumpers.peer.dump(target, folder)?;
        ours = dumpers.ours.dump(target, folder)?;
    }
    target.start_sampling()?;
    // Not a wait for anything: the length of the undisturbed measurement, the same as that of a dump.
    thread::sleep(ours.wall);
    let noise = target.stop_sampling()?.largest;
    Ok(Round { dumps: Pair { ours, peer }, noise })
}
