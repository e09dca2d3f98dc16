//! The documented API for Windows, thin over the system's own dumper. What that cannot do
//! [`dump_process`](crate::dump_process) does.
#![allow(unsafe_code)]

mod cause;
mod context;
mod crash_pointers;
mod dbghelp;
pub mod errors;
mod held_thread;
mod job;
mod minidump_type;
pub mod minidump_writer;
mod own_thread;
mod process;
mod streams;
mod turn;
