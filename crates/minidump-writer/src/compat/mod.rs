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
#[cfg(not(windows))]
pub mod errors;
mod file_writer_error;
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
#[cfg(not(windows))]
mod tee;
#[cfg(windows)]
mod windows;

/// What a crash handler recorded at the crash, as that crate has it.
#[cfg(any(target_os = "macos", windows))]
pub use ::crash_context;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use crash_context::CrashContext as CrashContextExt;
pub use format_names::{dir_section, mem_writer, minidump_cpu, minidump_format};
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use maps_reader::LINUX_GATE_LIBRARY_NAME;
#[cfg(windows)]
pub use windows::{errors, minidump_writer};
