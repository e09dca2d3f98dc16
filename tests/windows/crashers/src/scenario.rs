//! The list of scenarios.

use crate::{churn, crash, gap, handles, images, loader, memory, status, suspended, sys, threads, wait};
#[cfg(target_arch = "x86_64")]
use crate::{pointers, secrets};

pub use crate::arguments::Arguments;

/// Runs the scenario that the command line names.
pub fn run() {
    sys::prepare();
    let mut words = std::env::args_os().skip(1);
    let name = words.next().and_then(|word| word.into_string().ok()).unwrap_or_default();
    let arguments = Arguments::new(words);
    let Some((_, scenario)) = SCENARIOS.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = SCENARIOS.iter().map(|(known, _)| *known).collect();
        eprintln!("unknown scenario {name:?}; there are: {}", names.join(" "));
        std::process::exit(2);
    };
    scenario(&arguments);
}

type Scenario = fn(&Arguments);

const SCENARIOS: &[(&str, Scenario)] = &[
    ("busy", threads::busy),
    ("counts", suspended::counts),
    ("crash", crash::crash),
    ("gap", gap::gap),
    ("handles", handles::handles),
    ("header-wiped", images::header_wiped),
    ("load-churn", images::load_churn),
    ("loader", loader::loader),
    ("many-regions", memory::many_regions),
    ("many-threads", threads::many_threads),
    ("memory", memory::memory),
    #[cfg(target_arch = "x86_64")]
    ("pointers", pointers::pointers),
    #[cfg(target_arch = "x86_64")]
    ("registers", crate::registers::registers),
    #[cfg(target_arch = "x86_64")]
    ("secrets", secrets::secrets),
    ("status", status::status),
    ("suspended", suspended::suspended),
    ("thread-churn", churn::thread_churn),
    ("threads", threads::threads),
    ("unloaded", images::unloaded),
    ("wait", wait::wait),
];
