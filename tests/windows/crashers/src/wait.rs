//! Eight threads of which everything is known.

use crate::chain;
use crate::control;
use crate::registers;
use crate::scenario::Arguments;
use crate::sys;
use crate::threads::{STACK, worker_facts};

/// Threads that wait; one more spins.
const PARKED: u32 = 7;

/// `wait [LEVEL]`: seven named threads parked in the known call chain, and one that spins with known values in its registers,
/// vector registers included: without a level those of SSE, 1 for AVX, 2 for AVX-512.
pub fn wait(arguments: &Arguments) {
    let workers = chain::start_workers(PARKED, STACK);
    let spinning = registers::start(arguments.parsed(0, 0));
    worker_facts(&workers)
        .object("registers", &spinning)
        .number("main", sys::thread_id())
        .size("peb", sys::peb())
        .print();
    control::serve_ping();
}
