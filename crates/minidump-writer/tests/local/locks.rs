use crate::contents::Waiting;
use crate::dump::{Dump, thread_id};
use crate::own_process;
use crate::traces::{Traces, assert_childless};
use std::hint::black_box;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

static HELD: Mutex<u32> = Mutex::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

fn running() -> bool {
    !STOP.load(Ordering::Relaxed)
}

/// Takes and gives back the allocator's locks without end; large blocks go to the kernel, small ones to other threads.
fn hammer_the_allocator() {
    let (send, receive) = channel::<Vec<u8>>();
    let freer = thread::spawn(move || receive.into_iter().for_each(drop));
    for round in 0_usize.. {
        if !running() {
            break;
        }
        let blocks: Vec<Vec<u8>> = (0..64).map(|index| Vec::with_capacity(16 << (index % 14))).collect();
        for block in blocks.into_iter().skip(round % 3) {
            let _ = send.send(black_box(block));
        }
    }
    drop(send);
    freer.join().unwrap();
}

/// Each thread that starts or ends takes locks of the C library and of Rust's.
fn start_and_end_threads() {
    while running() {
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(thread_id)).collect();
        for thread in threads {
            assert_ne!(thread.join().unwrap(), 0);
        }
    }
}

fn write_the_environment() {
    while running() {
        // SAFETY: nothing in this process reads the environment but through the standard library, which locks.
        unsafe { std::env::set_var("LOCAL_DUMP_TEST_CHURN", "x") };
        // SAFETY: likewise.
        unsafe { std::env::remove_var("LOCAL_DUMP_TEST_CHURN") };
    }
}

fn start_busy(work: &[fn()]) -> Vec<JoinHandle<()>> {
    work.iter().copied().map(thread::spawn).collect()
}

fn end_busy(threads: Vec<JoinHandle<()>>) {
    STOP.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Takes dumps on a thread of its own, which look right and leave nothing behind.
fn take_dumps(repetitions: u32) {
    let waiting = Waiting::start("bystander", 9);
    let dumps = thread::spawn(move || {
        let mut before = None;
        for _ in 0..repetitions {
            let dump = Dump::take();
            assert_eq!(dump.threads().threads[0].raw.thread_id, thread_id());
            waiting.assert_dumped(&dump);
            assert_childless();
            // The number of threads changes all the time.
            let now = Traces::now().without_threads();
            assert_eq!(*before.get_or_insert_with(|| now.clone()), now);
        }
        waiting.end();
    });
    dumps.join().unwrap();
}

fn hundred_dumps() {
    let before_all = Traces::now();
    // Held by threads of their own throughout.
    let (held, is_held) = channel();
    let (let_go, go) = channel::<()>();
    let holder = thread::spawn(move || {
        let guard = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = std::io::stdout().lock();
        let mut err = std::io::stderr().lock();
        held.send(()).unwrap();
        let _ = go.recv();
        out.flush().unwrap();
        err.flush().unwrap();
        drop(guard);
    });
    is_held.recv().unwrap();
    let busy = start_busy(&[
        hammer_the_allocator,
        hammer_the_allocator,
        start_and_end_threads,
        write_the_environment,
    ]);
    take_dumps(100);
    end_busy(busy);
    drop(let_go);
    holder.join().unwrap();
    assert_childless();
    assert_eq!(Traces::now(), before_all);
}

fn among_short_threads() {
    let busy = start_busy(&[start_and_end_threads as fn(); 4]);
    take_dumps(300);
    end_busy(busy);
    assert_childless();
}

#[test]
fn threads_that_start_and_end_all_the_time_do_not_hang_the_helper() {
    own_process::run(
        "locks::threads_that_start_and_end_all_the_time_do_not_hang_the_helper",
        among_short_threads,
    );
}

#[test]
fn a_hundred_dumps_while_other_threads_hold_every_lock_there_is() {
    own_process::run("locks::a_hundred_dumps_while_other_threads_hold_every_lock_there_is", hundred_dumps);
}
