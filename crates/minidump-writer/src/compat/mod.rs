//! The documented API of the `minidump_writer` crate, thin over [`dump_process`](crate::dump_process).
//!
//! The modules keep the names, the paths and the meaning that programs know from the published crate, versions 0.10 to
//! 0.13, so that they work unchanged. `docs/compatibility.md` lists what differs. New programs call
//! [`dump_process`](crate::dump_process), which offers more.
//!
//! What is there for one system alone is there for that system in the published crate, too.

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub mod app_memory;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
mod auxv;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub mod crash;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub mod crash_context;
pub mod errors;
mod format_names;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub mod maps_reader;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub mod mem_reader;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub mod minidump_writer;
#[cfg(target_os = "macos")]
#[path = "apple/minidump_writer.rs"]
pub mod minidump_writer;
mod tee;

/// What a crash handler recorded at the crash, as that crate has it.
#[cfg(target_os = "macos")]
pub use ::crash_context;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use crash_context::CrashContext as CrashContextExt;
pub use format_names::{dir_section, mem_writer, minidump_cpu, minidump_format};
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use maps_reader::LINUX_GATE_LIBRARY_NAME;
