//! A thread that notices when it stands still.

use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::threads::{STACK, worker_facts};
use crate::{chain, sys};
use std::sync::atomic::{AtomicI64, Ordering};
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};

/// The largest gap since it was asked for, in ticks of the counter.
static LARGEST: AtomicI64 = AtomicI64::new(0);

/// `gap [N]`: N parked threads (default 3), and one that does nothing but look at the clock. The command `gap` answers with the
/// longest time between two looks, in nanoseconds, since it was asked the last time.
pub fn gap(arguments: &Arguments) {
    let workers = chain::start_workers(arguments.parsed(0, 3), STACK);
    std::thread::Builder::new().name("clock".into()).spawn(look).expect("a thread can be started");
    sys::wait_until("the first look", || LARGEST.load(Ordering::Acquire) > 0);
    worker_facts(&workers).print();
    let mut frequency = 0;
    // SAFETY: the number is written to a local.
    unsafe { QueryPerformanceFrequency(&raw mut frequency) };
    let nanoseconds = |ticks: i64| {
        let scaled = i128::from(ticks) * 1_000_000_000 / i128::from(frequency.max(1));
        u64::try_from(scaled).unwrap_or(0)
    };
    control::serve(|_| Facts::new().number("gap", nanoseconds(LARGEST.swap(0, Ordering::AcqRel))));
}

fn look() {
    let mut last = now();
    loop {
        let next = now();
        LARGEST.fetch_max(next - last, Ordering::AcqRel);
        last = next;
    }
}

fn now() -> i64 {
    let mut ticks = 0;
    // SAFETY: the number is written to a local.
    unsafe { QueryPerformanceCounter(&raw mut ticks) };
    ticks
}
