//! Small programs in chosen states, for the dump tests to look at.
//!
//! `crasher SCENARIO [ARGS]` sets itself up, prints one line of JSON with the facts that a test can check (addresses,
//! thread ids, values), and lives on until its standard input ends or it is killed. The line is the readiness event:
//! when it appears, everything it tells is in place. A line on standard input is a command; each gets one line of
//! JSON in answer (see [`control`]).
#![expect(clippy::panic, reason = "a crasher that cannot set itself up must die loudly")]
#![cfg_attr(
    all(target_os = "linux", target_arch = "x86_64"),
    expect(clippy::expect_used, reason = "a crasher that cannot set itself up must die loudly")
)]

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    panic!("the crashers know only Linux on x86-64");
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod arguments;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod chain;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod children;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod churn;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod control;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod crash;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod deep;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod execs;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod facts;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod files;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod held_call;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod images;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod loader;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod lockstep;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod main_exited;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod memory;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod patience;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod pointers;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod protect;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod protected;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod registers;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod scenario;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod secrets;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod spin;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stacks;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod sys;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod threads;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod watchers;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod witness;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() {
    scenario::run();
}
