//! The program that crashes, which is the same however it is protected. `tests/peer` has this file, too.
//!
//! It prints `ready NS`, NS being what its protection took in nanoseconds. After one line on its standard input it prints
//! `CLOCK_MONOTONIC` in nanoseconds, and crashes.
#![expect(unsafe_code, reason = "the crash, and the clock that it shares with whoever waits for its end")]

use std::error::Error;
use std::hint::black_box;
use std::io::{self, BufRead as _};
use std::sync::{Arc, Barrier};
use std::thread;

/// Bytes of the stacks of threads, as a main thread has them.
const STACK: usize = 8 << 20;
/// Bytes of one frame of a live stack.
const FRAME: usize = 16 << 10;

/// How large the program is.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// All threads, at least the main one and the one that crashes.
    pub threads: usize,
    /// What is live of each stack, in KiB.
    pub live_kib: usize,
}

impl Shape {
    /// The two numbers as words.
    pub fn parse(threads: &str, live_kib: &str) -> Result<Self, Box<dyn Error>> {
        Ok(Self { threads: threads.parse()?, live_kib: live_kib.parse()? })
    }
}

/// Has itself protected, starts all threads, and crashes when it is told to. What `protect` returns is kept till then.
pub fn run<T>(
    shape: Shape,
    protect: impl FnOnce() -> Result<T, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    refuse_core();
    let before = now_ns();
    let protection = protect()?;
    let took = now_ns().saturating_sub(before);
    let settled = Arc::new(Barrier::new(shape.threads.max(2)));
    let levels = shape.live_kib.saturating_mul(1024).div_ceil(FRAME);
    let start = |then: fn()| {
        let settled = Arc::clone(&settled);
        let stay = move || {
            on_live_stack(levels, &|| {
                settled.wait();
                then();
            });
        };
        thread::Builder::new().stack_size(STACK).spawn(stay)
    };
    for _ in 2..shape.threads {
        start(park)?;
    }
    start(crash_when_told)?;
    on_live_stack(levels, &|| {
        settled.wait();
        println!("ready {took}");
        park();
    });
    drop(protection);
    Ok(())
}

fn park() {
    loop {
        thread::park();
    }
}

/// Calls `then` below frames with contents.
#[inline(never)]
fn on_live_stack(levels: usize, then: &dyn Fn()) {
    let live = [0x5a_u8; FRAME];
    black_box(&live);
    if levels > 1 {
        on_live_stack(levels - 1, then);
    } else {
        then();
    }
    black_box(&live);
}

fn crash_when_told() {
    let mut word = String::new();
    if io::stdin().lock().read_line(&mut word).is_ok_and(|length| length > 0) {
        println!("{}", now_ns());
        crash();
    }
    std::process::exit(3);
}

/// Writes to the null pointer.
#[inline(never)]
fn crash() {
    // SAFETY: nothing is mapped there, so nothing is written; the process ends.
    unsafe { std::arch::asm!("mov qword ptr [{}], 1", in(reg) 0_usize) };
}

/// The kernel is not to write a core as well, nor to hand one to a program: a limit of one byte says so (core(5)).
fn refuse_core() {
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: the structure outlives the call. A refusal leaves the limit as it was.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
}

fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(now.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(now.tv_nsec))
}
