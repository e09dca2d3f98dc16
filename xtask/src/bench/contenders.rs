//! The programs that take part.

use super::{
    case::{Case, FEW_ROUNDS, Plan},
    dumper::{Dumper, Leaves},
    results::{FLOOR, GCORE, OURS, PEER},
};
use crate::{
    dist, peer, places, setup,
    shell::{self, Doing, Outcome},
};
use std::{
    env,
    path::{Path, PathBuf},
};

/// Everything that was built or found, for all cases of a run.
pub struct Contenders {
    ours: PathBuf,
    peer: PathBuf,
    floor: PathBuf,
    gcore: Option<PathBuf>,
    rounds: usize,
}

/// Our program as it would be shipped, unless the person who asks has one.
pub fn ours(chosen: Option<&Path>) -> Outcome<PathBuf> {
    let Some(program) = chosen else {
        return dist::build();
    };
    // What runs it has another working folder.
    program.canonicalize().doing(format_args!("there is no program {}", program.display()))
}

impl Contenders {
    /// Builds the programs the way they would be shipped, and looks for those of others.
    pub fn build(plan: &Plan, rounds: usize, chosen: Option<&Path>) -> Outcome<Self> {
        let ours = ours(chosen)?;
        shell::run(shell::cargo().args(["build", "--release", "--package", "floor"]))?;
        let gcore = if plan.thorough { gcore() } else { None };
        let floor = places::target().join("release/floor");
        Ok(Self { ours, peer: peer::build()?, floor, gcore, rounds })
    }

    /// Those that dump targets of this kind.
    pub fn of(&self, case: &Case) -> Vec<Dumper> {
        if case.all_memory {
            let rounds = self.rounds.min(FEW_ROUNDS);
            return of_all_memory(&self.ours, self.gcore.as_deref(), rounds);
        }
        let mut dumpers = vec![
            Dumper {
                name: OURS,
                program: self.ours.clone(),
                arguments: &["dump", "PID", "-o", "OUT", "--json"],
                suffix: "",
                leaves: Leaves::Minidump { complete: true },
                rounds: self.rounds,
                countable: true,
            },
            Dumper {
                name: PEER,
                program: self.peer.clone(),
                arguments: &["PID", "OUT"],
                suffix: "",
                leaves: Leaves::Minidump { complete: false },
                rounds: self.rounds,
                countable: true,
            },
            Dumper {
                name: FLOOR,
                program: self.floor.clone(),
                arguments: &["PID"],
                suffix: "",
                leaves: Leaves::Nothing,
                rounds: self.rounds,
                countable: true,
            },
        ];
        dumpers.extend(self.gcore.as_ref().map(|program| gdb_core(program, self.rounds.min(FEW_ROUNDS))));
        dumpers
    }
}

/// Those that save all memory.
pub fn of_all_memory(ours: &Path, gcore: Option<&Path>, rounds: usize) -> Vec<Dumper> {
    let ours = |name, arguments| Dumper {
        name,
        program: ours.to_owned(),
        arguments,
        suffix: "",
        leaves: Leaves::Minidump { complete: true },
        rounds,
        countable: true,
    };
    let mut dumpers = vec![
        ours("ours, target held", &["dump", "PID", "-o", "OUT", "--memory", "full", "--json"]),
        ours("ours, copy on write", &["dump", "PID", "-o", "OUT", "--memory", "full", "--cow", "--json"]),
    ];
    dumpers.extend(gcore.map(|program| gdb_core(program, rounds)));
    dumpers
}

/// `bench-loop`, which copies memory without stopping anybody.
pub fn plain_loop(rounds: usize) -> Outcome<Dumper> {
    let program = env::current_exe().doing("where is this program?")?;
    let arguments = &["bench-loop", "PID", "OUT"];
    Ok(Dumper {
        name: "plain loop",
        program,
        arguments,
        suffix: "",
        leaves: Leaves::File,
        rounds,
        countable: true,
    })
}

/// gdb's program for cores, if it is here or can be installed.
pub fn gcore() -> Option<PathBuf> {
    if let Err(why) = setup::gdb() {
        eprintln!("xtask: {why}");
    }
    let found = shell::find("gcore");
    if found.is_none() {
        eprintln!("xtask: gcore is not installed, so it is not compared");
    }
    found
}

fn gdb_core(program: &Path, rounds: usize) -> Dumper {
    Dumper {
        name: GCORE,
        program: program.to_owned(),
        arguments: &["-o", "OUT", "PID"],
        suffix: ".PID",
        leaves: Leaves::File,
        rounds,
        countable: false,
    }
}
