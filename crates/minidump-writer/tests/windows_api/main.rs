//! The documented API for Windows against live processes, read back through the `minidump` crate.
#![cfg(all(windows, target_arch = "x86_64"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "whatever goes wrong shall fail the test"
)]

mod child;
mod crashed_process;
mod dump;
mod failures;
mod names;
mod own_process;
mod target;
