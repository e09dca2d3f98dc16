//! Processes that never stand still: threads and mappings come and go as fast as they can.

use crate::chain;
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use libc::{PROT_READ, PROT_WRITE};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Builder;

static ROUNDS: AtomicU64 = AtomicU64::new(0);

/// `thread-churn N`: N threads (default 2) start and join short-lived threads without pause; two parked workers stay.
pub fn thread_churn(arguments: &Arguments) {
    churn(arguments, || {
        let born = Builder::new().name("short-lived".into()).stack_size(32 * 1024).spawn(|| ());
        born.expect("a thread can be started").join().expect("an empty thread does not panic");
    });
}

/// `map-churn N`: N threads (default 2) map, touch and unmap memory without pause; two parked workers stay.
pub fn map_churn(arguments: &Arguments) {
    churn(arguments, || {
        let pages = 1 + usize::try_from(ROUNDS.load(Ordering::Relaxed) % 61).unwrap_or(0);
        let address = sys::map_anonymous(pages * 4096, PROT_READ | PROT_WRITE);
        // SAFETY: the mapping is fresh, writable and known to nobody else.
        unsafe {
            std::ptr::write_volatile(address as *mut u8, 1);
            libc::munmap(address as *mut c_void, pages * 4096);
        }
    });
}

fn churn(arguments: &Arguments, turn: fn()) {
    let workers = chain::start_workers(2, 256 * 1024);
    for index in 0..arguments.parsed(0, 2u32) {
        let run = move || {
            loop {
                turn();
                ROUNDS.fetch_add(1, Ordering::Relaxed);
            }
        };
        Builder::new().name(format!("churner-{index}")).spawn(run).expect("a thread can be started");
    }
    sys::wait_until("the first turns", || ROUNDS.load(Ordering::Relaxed) > 10);
    Facts::new().objects("threads", workers.iter().map(chain::Worker::facts)).print();
    control::serve_counter(|| ROUNDS.load(Ordering::Relaxed));
}
