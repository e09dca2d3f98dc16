//! A process that writes the same number to all of its pages, over and over.

use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use libc::{PROT_READ, PROT_WRITE};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Builder;

const PAGE: usize = 4096;
static ROUNDS: AtomicU64 = AtomicU64::new(0);

/// `lockstep [PAGES]`: a thread writes the number of the round to the start of each page, first
/// to last, without pause. So at any one moment, the numbers do not rise from page to page, and the first and the last
/// differ by one at most. Beside it, a page of known bytes of which MADV_WIPEONFORK or MADV_DONTFORK was asked.
pub fn lockstep(arguments: &Arguments) {
    let pages = arguments.parsed(0, 2048usize);
    let start = sys::map_anonymous(pages * PAGE, PROT_READ | PROT_WRITE);
    let run = move || {
        for round in 1u64.. {
            for page in 0..pages {
                // SAFETY: the page is inside a mapping that lives for ever; only this thread writes to it.
                unsafe { std::ptr::write_volatile((start + page * PAGE) as *mut u64, round) };
            }
            ROUNDS.store(round, Ordering::Relaxed);
        }
    };
    Builder::new().name("lockstep".into()).spawn(run).expect("a thread can be started");
    sys::wait_until("the first rounds", || ROUNDS.load(Ordering::Relaxed) > 2);
    let wiped = advised(libc::MADV_WIPEONFORK, 0x77);
    let absent = advised(libc::MADV_DONTFORK, 0xdd);
    let facts = Facts::new().size("start", start).size("pages", pages);
    facts.object("wiped", &wiped).object("absent", &absent).print();
    control::serve_counter(|| ROUNDS.load(Ordering::Relaxed));
}

fn advised(advice: i32, byte: u8) -> Facts {
    let address = sys::map_anonymous(PAGE, PROT_READ | PROT_WRITE);
    // SAFETY: the page is a fresh mapping; the advice changes no contents of this process.
    unsafe {
        std::ptr::write_bytes(address as *mut u8, byte, PAGE);
        sys::check("madvise", libc::madvise(address as *mut libc::c_void, PAGE, advice));
    }
    Facts::part().size("address", address).number("byte", byte)
}
