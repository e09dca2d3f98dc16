//! One run: all cases of a plan, all programs in turns.

use super::{
    case::{Case, Plan},
    contenders::Contenders,
    dumper::Dumper,
    live::Target,
    machine, os,
    results::{CaseResults, ProgramResults, Results},
    strace,
    summary::CaseSummary,
    table,
};
use crate::shell::Outcome;
use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Memory that must be left beside a target and its dump, in MiB.
const SPARE_MIB: u64 = 2 << 10;
/// A folder in memory.
const MEMORY_FOLDER: &str = "/dev/shm";

/// Measures, and prints a table as it goes.
pub fn run(plan: &Plan, contenders: &Contenders, folder: &Path) -> Outcome<Results> {
    let strace = if plan.thorough { strace::find() } else { None };
    // Times that nobody judges need no undisturbed machine.
    let priority = if plan.timed { os::RealTime::ask(os::HARNESS_PRIORITY) } else { os::RealTime::none() };
    let conditions = machine::conditions(priority.is_granted());
    println!("{}\n\n{}", table::conditions(&conditions), table::heading().trim_end());
    let mut cases = Vec::new();
    for case in &plan.cases {
        let folder = folder_for(case, folder);
        let results = measure(case, &contenders.of(case), &folder, strace.as_deref())?;
        print!("{}", table::rows(&CaseSummary::of(&results)));
        cases.push(results);
    }
    drop(priority);
    Ok(Results { plan: plan.name.to_owned(), conditions, cases })
}

/// Where dumps go: those of all memory into memory, where there is room, because they are larger than what the kernel
/// lets be dirty, and then measure the disk.
fn folder_for(case: &Case, folder: &Path) -> PathBuf {
    let needed = 2 * u64::try_from(case.heap_mib).unwrap_or(u64::MAX >> 1) + SPARE_MIB;
    let memory = Path::new(MEMORY_FOLDER);
    let has_room = || os::free_mib(memory).min(machine::available_mib()) >= needed;
    if case.all_memory && has_room() { memory.to_owned() } else { folder.to_owned() }
}

/// Has all programs dump a target of this shape, as often as each takes part.
pub fn measure(
    case: &Case,
    dumpers: &[Dumper],
    folder: &Path,
    strace: Option<&Path>,
) -> Outcome<CaseResults> {
    let mut target = Target::start(case)?;
    let mut programs = Vec::new();
    for dumper in dumpers {
        // The first dump of a process fills caches of the kernel and of the disk for everyone after it.
        if !case.all_memory {
            dumper.dump(&mut target, folder)?;
        }
        let strace = strace.filter(|_| dumper.countable);
        let calls = strace.map(|strace| dumper.count_calls(&target, folder, strace)).transpose()?;
        programs.push(ProgramResults { name: dumper.name.to_owned(), samples: Vec::new(), calls });
    }
    let mut noise_us = Vec::new();
    let rounds = dumpers.iter().map(|dumper| dumper.rounds).max().unwrap_or_default();
    for round in 0..rounds {
        // Who goes first changes from round to round.
        for turn in 0..dumpers.len() {
            let index = (round + turn) % dumpers.len();
            let (Some(dumper), Some(program)) = (dumpers.get(index), programs.get_mut(index)) else {
                continue;
            };
            if round < dumper.rounds {
                program.samples.push(dumper.dump(&mut target, folder)?);
            }
        }
        let length = programs.first().and_then(|program| program.samples.last());
        noise_us.push(noise(&mut target, length.map_or(0, |sample| sample.wall_us))?);
    }
    Ok(CaseResults { case: case.clone(), mappings: target.mappings()?, noise_us, programs })
}

fn noise(target: &mut Target, length_us: u64) -> Outcome<u64> {
    target.start_sampling()?;
    // Not a wait for anything: the length of the undisturbed measurement, the same as that of a dump.
    thread::sleep(Duration::from_micros(length_us));
    Ok(super::dumper::micros(target.stop_sampling()?.largest))
}
