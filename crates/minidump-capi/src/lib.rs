//! The C interface of this project. What it offers to C and C++ is described in `include/minidump_writer.h`, and how to
//! build and link in `docs/c-api.md`.
//!
//! Each function checks its arguments, does its work in Rust and returns a code ([`Code`]); the sentence that
//! belongs to it stays with the thread (`mdw_last_error_message`). No panic leaves a function. Handles are numbers that
//! look like pointers: they are looked up and never followed, so an old one is an error and not a crash.
//!
//! The functions of clients are there where clients are: Linux and Android on x86-64. Those for tasks whose port is held
//! (`include/minidump_writer_apple.h`) are there on macOS.
#![deny(unsafe_code)]

#[cfg(not(panic = "unwind"))]
compile_error!("a panic must not end the program that uses this library: build with panic = \"unwind\"");

mod arguments;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
mod client;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
mod client_options;
mod dump;
mod dump_options;
mod entry;
mod failure;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
mod first_chance;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
mod handle;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
mod heartbeat;
mod message;
#[cfg(target_os = "macos")]
mod task;

pub use arguments::Annotation;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use client::{
    mdw_client_dump, mdw_client_handler_pid, mdw_client_remove_annotation, mdw_client_set_annotation,
    mdw_client_start, mdw_client_start_with, mdw_client_stop,
};
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use client_options::ClientOptions;
pub use dump::{mdw_dump_process, mdw_dump_process_with};
pub use dump_options::{DumpOptions, DumpReport};
pub use entry::mdw_version;
pub use failure::Code;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use first_chance::FirstChance;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use handle::Handle;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use heartbeat::{mdw_heartbeat_beat, mdw_heartbeat_pause, mdw_heartbeat_start, mdw_heartbeat_stop};
pub use message::mdw_last_error_message;
#[cfg(target_os = "macos")]
pub use task::{Context, CrashContext, MiniDumpWriteDump, mdw_dump_task};
