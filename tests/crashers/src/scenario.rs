//! The list of scenarios.

use crate::{
    children, churn, crash, deep, execs, files, images, loader, lockstep, main_exited, memory, pointers,
    protected, registers, secrets, stacks, sys, threads, watchers, witness,
};

pub use crate::arguments::Arguments;

/// Runs the scenario that the command line names.
pub fn run() {
    sys::die_with_parent();
    sys::allow_tracers();
    let mut words = std::env::args_os().skip(1);
    let name = words.next().and_then(|word| word.into_string().ok()).unwrap_or_default();
    let arguments = Arguments::new(words);
    let Some((_, scenario)) = SCENARIOS.iter().find(|(known, _)| *known == name) else {
        eprintln!("usage: crasher SCENARIO [ARGS]");
        eprintln!("unknown scenario {name:?}; there are:");
        for (known, _) in SCENARIOS {
            eprintln!("  {known}");
        }
        std::process::exit(2);
    };
    scenario(&arguments);
}

type Scenario = fn(&Arguments);

const SCENARIOS: &[(&str, Scenario)] = &[
    ("busy", threads::busy),
    ("coroutine", stacks::coroutine),
    ("crash", crash::crash),
    ("deep-recursion", stacks::deep_recursion),
    ("deep-threads", deep::deep_threads),
    ("elf-header-wiped", images::elf_header_wiped),
    ("exec-loop", execs::exec_loop),
    ("exec-on-demand", execs::exec_on_demand),
    ("exit-soon", children::exit_soon),
    ("fds", files::fds),
    ("huge-stack", stacks::huge_stack),
    ("link-map-garbage", loader::link_map_garbage),
    ("link-map-loop", loader::link_map_loop),
    ("loads-on-demand", loader::loads_on_demand),
    ("lockstep", lockstep::lockstep),
    ("main-exited", main_exited::main_exited),
    ("many-maps", images::many_maps),
    ("many-threads", threads::many_threads),
    ("map-churn", churn::map_churn),
    ("memory", memory::memory),
    ("path-replaced", images::path_replaced),
    ("pointers", pointers::pointers),
    ("protected", protected::protected),
    ("registers", registers::registers),
    ("sampler", watchers::sampler),
    ("secrets", secrets::secrets),
    ("self-check", watchers::self_check),
    ("signals", watchers::signals),
    ("sp-below-main", stacks::sp_below_main),
    ("sp-garbage", stacks::sp_garbage),
    ("sp-guard", stacks::sp_guard),
    ("stopped", children::stopped),
    ("thread-churn", churn::thread_churn),
    ("threads", threads::threads),
    ("traced", children::traced),
    ("vfork-parent", children::vfork_parent),
    ("witness", witness::witness),
    ("witness-filtered", witness::witness_filtered),
    ("witness-limited", witness::witness_limited),
    ("witness-spinning", witness::witness_spinning),
    ("witness-subreaper", witness::witness_subreaper),
    ("zombie", children::zombie),
];
