//! The client on Windows: hooks of exceptions, and what they find prepared.
//!
//! The hooks are those of the `crash-handler` crate: the filter of unhandled exceptions, and the C library's handlers of
//! invalid parameters, pure calls and `abort`. A thread that crashes does next to nothing itself: it puts down where the
//! exception is described, wakes the reporter, a thread that was made for this, and waits.

pub mod channel;
pub mod crash;
pub mod fallback;
pub mod hooks;
pub mod install;
pub mod mailbox;
pub mod message;
pub mod monitor;
pub mod reach;
pub mod reporter;
pub mod stack;
pub mod start;
pub mod state;
pub mod sys;

pub use install::{Installed, install, is_installed};
pub use state::ANNOTATIONS;

/// Id of a thread.
pub type ThreadId = u32;

/// Asked first, with the exception's code and the address of its EXCEPTION_POINTERS, by the thread that crashed. Whether
/// there shall be no dump; what becomes of the program is then decided by who would have decided without this client.
pub type FirstChance = fn(u32, *const std::ffi::c_void) -> bool;
