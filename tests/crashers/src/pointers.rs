//! Threads that point at memory of the heap, from their stacks and from a register.

use crate::chain::{self, Parked, Pattern};
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::arch::asm;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Pointers in the frame of each thread.
const EACH: usize = 64;
/// Distance of the memory that they point at: far more than a dump keeps around a pointer.
const DISTANCE: usize = 64 * 1024;
/// Hides an address on its way to a register, so that it lies in no memory.
const MASK: u64 = 0xa5a5_5a5a_a5a5_5a5a;

static HIDDEN: AtomicU64 = AtomicU64::new(0);
static SPINNING: AtomicU32 = AtomicU32::new(0);

/// `pointers N`: N parked threads (default 2), each with 64 pointers on its stack to known bytes, far apart; and one
/// that spins with such a pointer in R12 and nowhere else. Its address is told as an exclusive or with `mask`.
pub fn pointers(arguments: &Arguments) {
    let count: u32 = arguments.parsed(0, 2);
    let area = sys::fresh_memory(count as usize * EACH * DISTANCE);
    let threads: Vec<(u32, usize, Arc<Parked>)> = (0..count)
        .map(|seed| {
            let blocks = area + seed as usize * EACH * DISTANCE;
            let parked = Arc::new(Parked::default());
            let shared = Arc::clone(&parked);
            let run = move || {
                point(blocks, seed, &shared);
            };
            let builder = std::thread::Builder::new().name(format!("pointer-{seed:02}"));
            builder.spawn(run).expect("a thread can be started");
            (seed, blocks, parked)
        })
        .collect();
    std::thread::Builder::new().name("register".into()).spawn(spin).expect("a thread can be started");
    sys::wait_until("a thread to spin", || SPINNING.load(Ordering::Acquire) == 1);
    let threads = threads.iter().map(|(seed, blocks, parked)| {
        parked.wait();
        let targets = places(*blocks).into_iter().map(|address| {
            Facts::part().number("address", address).bytes("bytes", &Pattern::new(*seed, 7).bytes())
        });
        parked.facts(&format!("pointer-{seed:02}"), *seed).objects("targets", targets)
    });
    Facts::new()
        .objects("threads", threads)
        .number("hidden", HIDDEN.load(Ordering::Acquire))
        .number("mask", MASK)
        .bytes("bytes", &Pattern::new(99, 7).bytes())
        .print();
    control::serve_ping();
}

/// Where the pointers of a thread lead: into the middle of its blocks.
fn places(blocks: usize) -> [u64; EACH] {
    std::array::from_fn(|index| (blocks + index * DISTANCE + DISTANCE / 2) as u64)
}

#[inline(never)]
fn point(blocks: usize, seed: u32, parked: &Parked) -> u64 {
    let places = places(blocks);
    for address in places {
        // SAFETY: the place is inside a writable mapping that nobody else uses, aligned to 32 KiB.
        unsafe { std::ptr::write(address as *mut Pattern, Pattern::new(seed, 7)) };
    }
    let below = chain::outer(seed, parked);
    below + black_box(&places).iter().sum::<u64>()
}

/// Makes known bytes and tells where, masked. The address itself stays in this frame, which is dead afterwards.
#[inline(never)]
fn hidden_block() -> u64 {
    let address = sys::fresh_memory(2 * DISTANCE) + DISTANCE;
    // SAFETY: the place is inside a fresh writable mapping, aligned to a page.
    unsafe { std::ptr::write(address as *mut Pattern, Pattern::new(99, 7)) };
    address as u64 ^ MASK
}

fn spin() {
    let hidden = hidden_block();
    HIDDEN.store(hidden, Ordering::Release);
    // SAFETY: the loop writes only to the static and never returns.
    unsafe {
        asm!(
            "xor r12, r13",
            "2:",
            "mov dword ptr [rip + {flag}], 1",
            "jmp 2b",
            flag = sym SPINNING,
            in("r12") hidden,
            in("r13") MASK,
            options(noreturn),
        )
    }
}
