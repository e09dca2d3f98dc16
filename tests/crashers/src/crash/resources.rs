//! Programs that have run out of something, or have destroyed what they stand on.

use super::{
    Kind,
    Setting::{Alone, Parked},
    faults, here,
};
use crate::loader;
use crate::sys;
use std::hint::black_box;
use std::sync::Barrier;

pub const KINDS: &[Kind] = &[
    ("heap-destroyed", Parked, crash_here_heap_destroyed),
    ("no-address-space", Parked, crash_here_no_address_space),
    ("no-descriptors", Parked, crash_here_no_descriptors),
    ("loader-next", Parked, crash_here_loader_next),
    ("loader-self", Parked, crash_here_loader_self),
    ("loader-map", Parked, crash_here_loader_map),
    ("main-gone", Alone, main_gone),
    ("many-at-once", Parked, many_at_once),
    ("crowd", Alone, crash_here_crowd),
    ("busy-others", Parked, crash_here_busy_others),
];

/// Overwrites the allocator's heads of blocks, as an overrun does.
#[inline(never)]
fn crash_here_heap_destroyed() {
    let (start, end) = sys::mapping_named("[heap]").expect("the C library has a heap");
    here().number("address", 0u64).print();
    // SAFETY: none, that is the point. Nothing below uses the heap.
    unsafe { std::ptr::write_bytes(start as *mut u8, 0x41, end - start) };
    faults::read(0);
}

/// Uses up all the address space that a limit allows.
#[inline(never)]
fn crash_here_no_address_space() {
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    here().number("address", 0u64).print();
    // SAFETY: the limit outlives the call. What is mapped stays mapped, more there will not be.
    sys::check("setrlimit", unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) });
    faults::read(0);
}

/// Opens all the files that a limit allows.
#[inline(never)]
fn crash_here_no_descriptors() {
    let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: the limit outlives the call; descriptors of our own are made until there are no more.
    unsafe {
        sys::check("setrlimit", libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit));
        while libc::dup(0) != -1 {}
    }
    faults::null();
}

#[inline(never)]
fn crash_here_loader_next() {
    loader::damage_lists("next");
    faults::null();
}

#[inline(never)]
fn crash_here_loader_self() {
    loader::damage_lists("self");
    faults::null();
}

#[inline(never)]
fn crash_here_loader_map() {
    loader::damage_lists("map");
    faults::null();
}

/// The main thread ends by itself; another one crashes.
fn main_gone() {
    let main = std::process::id();
    let thread = std::thread::Builder::new().name("crashing".into()).spawn(move || {
        sys::wait_until("the main thread to end", || sys::thread_state(main) == Some('Z'));
        crash_here_main_gone();
        sys::exit_now(super::SURVIVED);
    });
    thread.expect("a thread can be started");
    // SAFETY: SYS_exit ends the calling thread only. Nothing on this thread's stack is shared with the others.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

#[inline(never)]
fn crash_here_main_gone() {
    faults::null();
}

/// Eight threads crash at the same time.
fn many_at_once() {
    const THREADS: usize = 8;
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| crash_here_many_at_once(&barrier));
        }
    });
}

#[inline(never)]
fn crash_here_many_at_once(barrier: &Barrier) {
    here().number("address", 0u64).print();
    barrier.wait();
    faults::read(0);
    black_box(barrier);
}

/// Crashes among more threads than other writers have room for.
#[inline(never)]
fn crash_here_crowd() {
    super::stand_by(400);
    faults::null();
}

/// Crashes while other threads run.
#[inline(never)]
fn crash_here_busy_others() {
    const THREADS: usize = 4;
    let barrier: &Barrier = Box::leak(Box::new(Barrier::new(THREADS + 1)));
    for _ in 0..THREADS {
        std::thread::spawn(|| {
            barrier.wait();
            while black_box(true) {}
        });
    }
    barrier.wait();
    faults::null();
}
