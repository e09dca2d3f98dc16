//! The process that is dumped: `cargo xtask bench-target THREADS MAPS LIBS HEAP_MB BUSY`.
//!
//! It prints `ready`, then answers each line on its standard input with one line: `start` begins the sampling, `stop`
//! ends it and tells the largest gap and the sum of all, in nanoseconds. It ends when its standard input does.

use super::{libraries, os, sampler::Sampler};
use crate::shell::{Doing, Outcome};
use std::{
    hint,
    io::{self, BufRead, Write},
    sync::{Arc, Barrier},
    thread,
};

/// Size of a thread's stack, in bytes.
const STACK: usize = 256 << 10;
/// The part of it that is in use, in bytes.
const LIVE_STACK: usize = 8 << 10;
/// The main thread and the sampler.
const OWN_THREADS: usize = 2;

/// Builds the process as the arguments say, then serves its standard input.
pub fn run(arguments: &[String]) -> Outcome {
    let [threads, maps, count, heap_mib, busy] = numbers(arguments)?;
    os::allow_any_tracer();
    let sampler = Sampler::spawn().doing("could not start the sampler")?;
    os::map_separate_pages(maps).doing("could not create the mappings")?;
    libraries::load(count)?;
    let heap = vec![0xa5_u8; heap_mib << 20];
    spawn_threads(threads.saturating_sub(OWN_THREADS), busy != 0)?;
    serve(&sampler).doing("the bench went away")?;
    drop(hint::black_box(heap));
    Ok(())
}

fn numbers(arguments: &[String]) -> Outcome<[usize; 5]> {
    let numbers: Result<Vec<usize>, _> = arguments.iter().map(|argument| argument.parse()).collect();
    numbers
        .ok()
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| "bench-target takes five numbers: THREADS MAPS LIBS HEAP_MB BUSY".into())
}

/// Returns when all threads are where they stay.
fn spawn_threads(count: usize, busy: bool) -> Outcome {
    let settled = Arc::new(Barrier::new(count + 1));
    for number in 0..count {
        let settled = Arc::clone(&settled);
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .stack_size(STACK)
            .spawn(move || stay(&settled, busy))
            .doing(format_args!("could not start thread {number}"))?;
    }
    settled.wait();
    Ok(())
}

fn stay(settled: &Barrier, busy: bool) {
    let live = hint::black_box([0x5a_u8; LIVE_STACK]);
    settled.wait();
    if busy {
        os::become_ordinary();
    }
    loop {
        if busy {
            hint::spin_loop();
        } else {
            thread::park();
        }
        hint::black_box(&live);
    }
}

fn serve(sampler: &Sampler) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "ready")?;
    output.flush()?;
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "start" if sampler.start() => writeln!(output, "sampling")?,
            "stop" => match sampler.stop() {
                Some(gaps) => writeln!(output, "{} {}", gaps.largest.as_nanos(), gaps.sum.as_nanos())?,
                None => writeln!(output, "the sampler is gone")?,
            },
            other => writeln!(output, "cannot do '{other}'")?,
        }
        output.flush()?;
    }
    Ok(())
}
