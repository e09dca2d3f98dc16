//! The documented API against a live process, read back through the `minidump` crate.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "whatever goes wrong shall fail the test"
)]

mod child;
mod crash;
mod dump;
mod failures;
mod memory;
mod modules;
mod names;
mod sections;
mod target;
