//! Ways from a crash to a dump.
//!
//! - `client` (with the feature of that name): in the program to protect: tells the handler of a crash, and writes a dump
//!   itself if nobody answers.
//! - [`server`]: the handler, another process, which dumps the programs that ask it to.
//! - `supervisor` (with the feature of that name): runs a command and has a dump written of each of its processes that
//!   crashes.
//! - [`coredump_socket`]: serves the socket that the kernel sends cores to.
//! - [`store`]: the folder in which dumps are kept, with what is known of each, within limits.
//!
//! The last is there everywhere; client, server and supervisor on Linux on x86-64 and on Windows; the others on Linux on
//! x86-64 only.
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(any(windows, all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64")))]
mod attachment;
#[cfg(all(
    feature = "client",
    any(windows, all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))
))]
pub mod client;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod coredump_socket;
#[cfg(any(windows, test))]
mod exception_code;
#[cfg(any(target_os = "macos", all(test, target_os = "linux", target_arch = "x86_64")))]
pub mod mach;
#[cfg(any(
    target_os = "macos",
    windows,
    all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64")
))]
#[cfg_attr(
    any(target_os = "macos", windows, not(feature = "client")),
    allow(dead_code, unused_imports, reason = "the half of programs that ask, and what other systems need")
)]
mod protocol;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub mod server;
#[cfg(windows)]
#[path = "server/windows/mod.rs"]
pub mod server;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
mod signals;
pub mod store;
#[cfg(all(feature = "supervisor", any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub mod supervisor;
#[cfg(all(feature = "supervisor", windows))]
#[path = "supervisor/windows/mod.rs"]
pub mod supervisor;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
mod wake;
#[cfg(windows)]
#[cfg_attr(not(feature = "client"), expect(dead_code, reason = "the half of programs that ask"))]
mod windows;
