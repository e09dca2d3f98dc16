//! The documented API of the `minidump_writer` crate, thin over [`dump_process`](crate::dump_process).
//!
//! The modules keep the names, the paths and the meaning that programs know from the published crate, versions 0.10 to
//! 0.13, so that they work unchanged. `docs/compatibility.md` lists what differs. New programs call
//! [`dump_process`](crate::dump_process), which offers more.

pub mod app_memory;
mod auxv;
pub mod crash;
pub mod crash_context;
pub mod errors;
mod format_names;
pub mod maps_reader;
pub mod mem_reader;
pub mod minidump_writer;
mod tee;

pub use crash_context::CrashContext as CrashContextExt;
pub use format_names::{dir_section, mem_writer, minidump_cpu, minidump_format};
pub use maps_reader::LINUX_GATE_LIBRARY_NAME;
