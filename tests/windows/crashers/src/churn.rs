//! Threads that come and go all the time.

use crate::chain;
use crate::control;
use crate::scenario::Arguments;
use crate::threads::{STACK, worker_facts};
use std::sync::atomic::{AtomicU64, Ordering};

static ENDED: AtomicU64 = AtomicU64::new(0);

/// `thread-churn N`: two parked threads, and N (default 4) of which each starts a successor and ends.
pub fn thread_churn(arguments: &Arguments) {
    let workers = chain::start_workers(2, STACK);
    for _ in 0..arguments.parsed(0, 4) {
        succeed();
    }
    worker_facts(&workers).print();
    control::serve_counter(|| ENDED.load(Ordering::Relaxed));
}

fn succeed() {
    let run = || {
        std::thread::yield_now();
        ENDED.fetch_add(1, Ordering::Relaxed);
        succeed();
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(run).expect("a thread can be started");
}
