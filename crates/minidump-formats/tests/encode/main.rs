//! Snapshots built in code become files, which the `minidump` crate and a byte-exact look read back.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a panic is a failed test")]

mod annotations;
mod any_options;
mod any_snapshot;
mod apple;
mod build;
mod edge_cases;
mod exception;
mod file;
mod handles;
mod large;
mod linux;
mod memory;
mod modules;
mod omit;
mod raw;
mod round_trip;
mod sections;
mod system;
mod threads;
mod windows;
mod writing;
