//! Dumps that a process takes of itself.
#![cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a panic is a failed test")]

mod children;
mod contents;
mod dump;
mod locks;
mod outputs;
mod own_process;
mod refusals;
mod traces;
