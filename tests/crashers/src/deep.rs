//! Many threads, each with much of its stack in use.

use crate::chain::{self, Parked};
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use std::sync::Arc;

/// `deep-threads N KIB`: N threads (default 200) parked in the known call chain below KIB of stack (default 128) in use.
pub fn deep_threads(arguments: &Arguments) {
    let (count, pages) = (arguments.parsed(0, 200u32), arguments.parsed(1, 128u32) / 4);
    let threads: Vec<(String, Arc<Parked>)> = (0..count).map(|seed| start(seed, pages)).collect();
    let facts = threads.iter().zip(0u32..).map(|((name, parked), seed)| {
        parked.wait();
        parked.facts(name, seed)
    });
    Facts::new().objects("threads", facts).print();
    control::serve_ping();
}

fn start(seed: u32, pages: u32) -> (String, Arc<Parked>) {
    let name = format!("deep-{seed:03}");
    let parked = Arc::new(Parked::default());
    let shared = Arc::clone(&parked);
    let builder = std::thread::Builder::new().name(name.clone()).stack_size((pages as usize + 64) * 4096 * 2);
    let run = move || {
        descend(pages, seed, &shared);
    };
    builder.spawn(run).expect("a thread can be started");
    (name, parked)
}

/// Each turn of the recursion takes a little more than 4 KiB.
#[inline(never)]
fn descend(depth: u32, seed: u32, parked: &Parked) -> u64 {
    let block = [u64::from(depth); 512];
    let below = match depth {
        0 => chain::outer(seed, parked),
        _ => descend(depth - 1, seed, parked),
    };
    below + std::hint::black_box(&block).iter().sum::<u64>()
}
