//! Threads that wait or spin.

use crate::chain::{self, Worker};
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::sync::atomic::{AtomicU64, Ordering};

/// Stack of an ordinary worker, in bytes.
pub const STACK: usize = 256 * 1024;

/// `threads N`: N named threads parked in the known call chain. Default 3.
pub fn threads(arguments: &Arguments) {
    parked(arguments.parsed(0, 3), STACK);
}

/// `many-threads N`: the same with small stacks, for thousands. Default 2000.
pub fn many_threads(arguments: &Arguments) {
    parked(arguments.parsed(0, 2000), 32 * 1024);
}

fn parked(count: u32, stack_size: usize) {
    let workers = chain::start_workers(count, stack_size);
    worker_facts(&workers).print();
    control::serve_ping();
}

/// The facts of `workers`.
pub fn worker_facts(workers: &[Worker]) -> Facts {
    Facts::new().objects("threads", workers.iter().map(Worker::facts))
}

/// `busy N`: N threads that spin and count. Default 2.
pub fn busy(arguments: &Arguments) {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let count: u32 = arguments.parsed(0, 2);
    let (send, receive) = std::sync::mpsc::channel();
    for index in 0..count {
        let send = send.clone();
        let spin = move || {
            send.send(sys::thread_id()).expect("the main thread listens");
            loop {
                ROUNDS.fetch_add(1, Ordering::Relaxed);
            }
        };
        std::thread::Builder::new()
            .name(format!("busy-{index:02}"))
            .spawn(spin)
            .expect("a thread can be started");
    }
    let tids: Vec<u64> = (0..count).map(|_| receive.recv().expect("a thread reports").into()).collect();
    Facts::new().numbers("tids", tids).print();
    control::serve_counter(|| ROUNDS.load(Ordering::Relaxed));
}
