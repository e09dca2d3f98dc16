//! Snapshots built in code become cores, which the `object` crate and a byte-exact look read back.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod any_snapshot;
mod build;
mod facts_json;
mod file;
mod large;
mod memory;
mod own_notes;
mod parse;
mod process;
mod siginfo;
mod threads;
