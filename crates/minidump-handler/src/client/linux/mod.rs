//! The client on Linux: signal handlers, and what they find prepared.

pub mod crash;
pub mod exchange;
pub mod fallback;
pub mod forks;
pub mod held;
pub mod install;
#[cfg(target_os = "linux")]
pub mod interpose;
pub mod message;
pub mod monitor;
pub mod region;
pub mod signals;
pub mod stacks;
pub mod start;
pub mod state;
pub mod sys;
pub mod turn;
pub mod wish;

pub use install::{Installed, install, is_installed};
pub use state::ANNOTATIONS;

/// Id of a thread.
pub type ThreadId = libc::pid_t;

/// Asked first, with the signal and the two other arguments of a signal handler (sigaction(2)). It runs in that handler,
/// so it may call async-signal-safe functions only. Whether it has dealt with the signal, so that the program goes on.
pub type FirstChance = fn(i32, *const libc::siginfo_t, *const libc::c_void) -> bool;
