//! Snapshots built in code become Mach-O cores, which a strict parser of this test reads back.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod any_snapshot;
mod build;
mod file;
mod images;
mod large;
mod memory;
mod notes;
mod own_note;
mod parse;
mod restore;
mod threads;
mod writing;
