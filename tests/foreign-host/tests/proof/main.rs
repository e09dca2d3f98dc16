//! A build for another host shows and converts dumps as the build for this one does, to the byte.
//!
//! `cargo xtask ci foreign` builds the program for Windows and starts this with it in Wine. `FOREIGN_PROGRAM` names the program,
//! `FOREIGN_RUNNER` what runs it, if it does not run by itself. So that both builds know the same, no file of the dumped programs
//! is left when they are read: names of functions come from files, and a host that has them tells more than one that has not.
//!
//! What this cannot show is what a real Windows does otherwise than Wine.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "whatever goes wrong shall fail the test"
)]

mod compare;
mod hosts;
mod linux;
mod macos;
mod refusals;
