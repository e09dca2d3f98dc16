//! `crash KIND [main|thread]`: dies in a chosen way, on the main thread or on another one.
//!
//! Every way dies in a function of its own, `crash_here_KIND`, so that a reader of the dump can be asked for it. Before
//! that it prints one line of facts for each thread that is going to crash: its id, what it knows beforehand of the
//! crash (`address`, what the signal information tells), and the parked threads that stand by. A process that outlives its crash ends with [`SURVIVED`].

mod faults;
mod forks;
mod handlers;
mod limits;
mod resources;
mod signals;
mod stacks;
mod syscall_filter;

use crate::chain::{self, Worker};
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::ffi::c_int;
use std::sync::OnceLock;

/// Exit status of a process that should have died.
pub const SURVIVED: c_int = 99;
/// Stack of the thread that crashes, in bytes: as large as the main thread's usually is.
const STACK: usize = 8 * 1024 * 1024;

/// A name on the command line, where it happens, and what dies.
type Kind = (&'static str, Setting, fn());

/// What the program looks like when the crash comes.
#[derive(Clone, Copy, PartialEq)]
enum Setting {
    /// Two parked threads stand by.
    Parked,
    /// No other threads: the kind makes processes, or ends threads.
    Alone,
    /// As `Parked`, with the signal handlers of Rust's library for stack overflows. Other languages have none, and so
    /// have the other settings.
    WithLibraryHandlers,
}

const TABLES: &[&[Kind]] = &[
    faults::KINDS,
    forks::KINDS,
    handlers::KINDS,
    limits::KINDS,
    resources::KINDS,
    signals::KINDS,
    stacks::KINDS,
    syscall_filter::KINDS,
];

/// Runs the kind that the first argument names; the second tells the thread.
pub fn crash(arguments: &Arguments) {
    let name = arguments.text(0).unwrap_or_default();
    let known = || TABLES.iter().copied().flatten();
    let Some((_, setting, die)) = known().find(|(known, ..)| *known == name).copied() else {
        let names: Vec<&str> = known().map(|(known, ..)| *known).collect();
        eprintln!("unknown kind of crash {name:?}; there are: {}", names.join(" "));
        sys::exit_now(2);
    };
    if setting != Setting::WithLibraryHandlers {
        default_fault_handling();
    }
    crate::protect::if_wanted();
    if setting != Setting::Alone {
        stand_by(2);
    }
    if arguments.text(1) == Some("thread") {
        let thread = std::thread::Builder::new().name("crashing".into()).stack_size(STACK).spawn(die);
        let _ = thread.expect("a thread can be started").join();
    } else {
        die();
    }
    sys::exit_now(SURVIVED);
}

/// Dies as the kind is described, on the calling thread.
pub fn die(kind: &str) -> ! {
    let known = TABLES.iter().copied().flatten().find(|(known, ..)| *known == kind);
    let (_, _, die) = known.unwrap_or_else(|| panic!("unknown kind of crash {kind:?}"));
    die();
    sys::exit_now(SURVIVED)
}

pub use forks::{forked_to as forked, is_killed};

/// The parked threads.
static PARKED: OnceLock<Vec<Worker>> = OnceLock::new();

/// Starts parked threads.
fn stand_by(count: u32) {
    let workers = chain::start_workers(count, 64 * 1024);
    assert!(PARKED.set(workers).is_ok(), "threads are parked once");
}

/// The beginning of the line that tells of the calling thread.
fn here() -> Facts {
    let parked = PARKED.get().into_iter().flatten();
    Facts::new().number("tid", sys::thread_id()).objects("threads", parked.map(Worker::facts))
}

/// Takes the handlers away that Rust's library installs for stack overflows.
pub fn default_fault_handling() {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: SIG_DFL is no function; the handlers that go were not needed by anybody.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}
