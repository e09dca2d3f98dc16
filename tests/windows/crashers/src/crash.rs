//! `crash KIND [main|thread]`: dies in a chosen way, on the main thread or on another one, as the crashers for Linux do: in a
//! function `crash_here_KIND`, after a line of facts. A process that outlives its crash ends with [`SURVIVED`].

mod faults;
mod handled;
mod raised;

use crate::chain::{self, Worker};
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::ffi::c_int;
use std::sync::OnceLock;

/// Exit code of a process that should have died.
const SURVIVED: c_int = 99;

/// A name on the command line, and what dies.
type Kind = (&'static str, fn());

const TABLES: &[&[Kind]] = &[faults::KINDS, handled::KINDS, raised::KINDS];

/// Runs the kind that the first argument names; the second tells the thread.
pub fn crash(arguments: &Arguments) {
    let name = arguments.text(0).unwrap_or_default();
    let known = || TABLES.iter().copied().flatten();
    let Some((_, die)) = known().find(|(known, ..)| *known == name).copied() else {
        let names: Vec<&str> = known().map(|(known, ..)| *known).collect();
        eprintln!("unknown kind of crash {name:?}; there are: {}", names.join(" "));
        sys::exit_now(2);
    };
    assert!(PARKED.set(chain::start_workers(2, 64 * 1024)).is_ok(), "threads are parked once");
    if arguments.text(1) == Some("thread") {
        let thread = std::thread::Builder::new().name("crashing".into()).spawn(die);
        let _ = thread.expect("a thread can be started").join();
    } else {
        die();
    }
    sys::exit_now(SURVIVED);
}

/// The parked threads.
static PARKED: OnceLock<Vec<Worker>> = OnceLock::new();

/// The beginning of the line that tells of the calling thread, which is going to crash with this code.
fn here(code: u32) -> Facts {
    let parked = PARKED.get().into_iter().flatten();
    Facts::new()
        .number("tid", sys::thread_id())
        .number("code", code)
        .objects("threads", parked.map(Worker::facts))
}
