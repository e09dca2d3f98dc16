//! Processes that replace themselves and keep their id.

use crate::chain;
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// `exec-loop`: execs itself over and over, from a thread that is not the main one every second time. The counter is
/// the number of execs. Only the first generation prints the facts.
pub fn exec_loop(arguments: &Arguments) {
    let generation: u64 = arguments.parsed(0, 0);
    let _workers = chain::start_workers(2, 64 * 1024);
    if generation == 0 {
        Facts::new().print();
    }
    while sys::input_is_ready() {
        if sys::read_line().is_none() {
            sys::exit_now(0);
        }
        Facts::new().flag("pong", true).number("counter", generation).print();
    }
    if generation.is_multiple_of(2) {
        exec("exec-loop", generation + 1);
    }
    let other = std::thread::spawn(move || exec("exec-loop", generation + 1));
    drop(other.join());
}

/// `exec-on-demand`: the command `exec` makes it exec itself; the next generation prints its facts anew.
pub fn exec_on_demand(arguments: &Arguments) {
    let generation: u64 = arguments.parsed(0, 0);
    let workers = chain::start_workers(2, 64 * 1024);
    crate::threads::worker_facts(&workers).number("generation", generation).print();
    control::serve(|command| match command {
        "exec" => exec("exec-on-demand", generation + 1),
        _ => Facts::new().flag("pong", true).number("counter", generation),
    });
}

fn exec(scenario: &str, generation: u64) -> ! {
    let error = Command::new("/proc/self/exe").args([scenario, &generation.to_string()]).exec();
    panic!("exec: {error}");
}
