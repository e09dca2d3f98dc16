//! Small programs for Windows in chosen states, for the dump tests to look at.
//!
//! `windows-crasher SCENARIO [ARGS]` talks as the crashers for Linux do (`tests/crashers`), whose files are part of it where
//! they are the same: it sets itself up, prints one line of JSON with the facts that a test can check, and lives on until
//! its standard input ends or it is killed.
#![expect(clippy::panic, reason = "a crasher that cannot set itself up must die loudly")]
#![cfg_attr(
    windows,
    expect(clippy::expect_used, reason = "a crasher that cannot set itself up must die loudly")
)]

#[cfg(not(windows))]
fn main() {
    panic!("these crashers know only Windows");
}

#[cfg(windows)]
#[path = "../../../crashers/src/arguments.rs"]
mod arguments;
#[cfg(windows)]
#[path = "../../../crashers/src/chain.rs"]
mod chain;
#[cfg(windows)]
mod churn;
#[cfg(windows)]
#[path = "../../../crashers/src/control.rs"]
mod control;
#[cfg(windows)]
mod crash;
#[cfg(windows)]
#[path = "../../../crashers/src/facts.rs"]
mod facts;
#[cfg(windows)]
mod gap;
#[cfg(windows)]
mod handles;
#[cfg(windows)]
mod images;
#[cfg(windows)]
mod loader;
#[cfg(windows)]
mod memory;
#[cfg(windows)]
#[path = "../../../crashers/src/patience.rs"]
mod patience;
#[cfg(all(windows, target_arch = "x86_64"))]
#[path = "../../../crashers/src/pointers.rs"]
mod pointers;
#[cfg(all(windows, target_arch = "x86_64"))]
#[path = "../../../crashers/src/registers.rs"]
mod registers;
#[cfg(all(windows, target_arch = "x86"))]
#[path = "registers_x86.rs"]
mod registers;
#[cfg(windows)]
mod scenario;
#[cfg(all(windows, target_arch = "x86_64"))]
#[path = "../../../crashers/src/secrets.rs"]
mod secrets;
#[cfg(windows)]
mod status;
#[cfg(windows)]
mod suspended;
#[cfg(windows)]
mod sys;
#[cfg(windows)]
#[path = "../../../crashers/src/threads.rs"]
mod threads;
#[cfg(windows)]
mod wait;

#[cfg(windows)]
fn main() {
    scenario::run();
}
