//! Threads that have lost their main thread.

use crate::chain;
use crate::control;
use crate::scenario::Arguments;
use crate::sys;
use crate::threads::{STACK, worker_facts};

/// `main-exited`: three workers live on after the main thread has ended by itself; a fourth thread serves commands.
pub fn main_exited(_: &Arguments) {
    let workers = chain::start_workers(3, STACK);
    let serve = move || {
        let main = std::process::id();
        sys::wait_until("the main thread to end", || sys::thread_state(main) == Some('Z'));
        worker_facts(&workers).number("server", sys::thread_id()).print();
        control::serve_ping();
    };
    std::thread::Builder::new().name("server".into()).spawn(serve).expect("a thread can be started");
    // SAFETY: SYS_exit ends the calling thread only. Nothing on this thread's stack is shared with the others.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}
