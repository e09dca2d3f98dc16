//! Dumps of processes of Windows.

mod any;
mod build;
mod contexts;
mod exception;
mod header;
mod lists;
mod misc;
mod modules;
mod native;
mod system;
mod threads;

pub use any::any_windows_snapshot;
