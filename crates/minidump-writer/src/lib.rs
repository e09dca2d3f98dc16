//! Stops a process for an instant, captures it, lets it go, and writes a minidump.
//!
//! ```no_run
//! use minidump_writer::{DumpOptions, dump_process, output::DumpFile};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut file = DumpFile::create("stuck.dmp")?;
//! let report = dump_process(4711, &DumpOptions::default(), &mut file)?;
//! file.commit()?;
//! println!("{} bytes, stopped for {:?}", report.bytes, report.stopped);
//! # Ok(())
//! # }
//! ```
//!
//! What it does: takes all threads with their registers, the live part of their stacks, code around their instruction
//! pointers, modules with their build ids, the memory map, open files and system facts of another process, which
//! stands still only while registers and memory are read. The dump goes front to back to any [`std::io::Write`]. What
//! could not be read is listed in the dump and in the [`DumpReport`].
//!
//! What it does not do: catch crashes (it needs to be told whom to dump, and [`dump_self`] is not for crash handlers),
//! or stop a target with signals. It needs the right to trace the target: the same user (and Yama's consent), root, or
//! CAP_SYS_PTRACE.
//!
//! What the caller should know: the capture runs on a thread of its own, and a thread that is in an uninterruptible
//! wait, such as a vfork parent, is listed without registers. Linux and Android on x86-64, macOS, and Windows on x86-64, x86
//! and AArch64 have a back end; elsewhere [`dump_process`] returns [`Error::Unsupported`]. On Windows the target is held by
//! debugging it, which ends with the dumper, whatever happens to that. On macOS the capture is done by the calling thread, and needs
//! the task's port, which the system gives to root and to programs with an entitlement, or which the target gave away
//! itself (`dump_task`). Dumps are read and converted on all hosts alike (`convert`, with the feature of that name).
#![deny(unsafe_code)]

#[cfg(any(
    all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"),
    target_os = "macos",
    windows
))]
mod compat;
#[cfg(feature = "convert")]
pub mod convert;
#[cfg(feature = "convert")]
mod core_file;
mod dump;
mod dumper;
mod encode;
mod error;
#[cfg(any(
    feature = "convert",
    all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64")
))]
#[cfg_attr(
    not(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64")),
    expect(dead_code, reason = "only a capture asks for all of it")
)]
mod linux_process;
mod local;
#[cfg(feature = "convert")]
mod macho_file;
#[cfg(feature = "convert")]
mod minidump_file;
mod options;
pub mod output;
mod report;
mod sys;
#[cfg(any(windows, test))]
mod windows_process;

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use compat::{
    CrashContextExt, LINUX_GATE_LIBRARY_NAME, app_memory, crash, crash_context, dir_section, errors,
    maps_reader, mem_reader, mem_writer, minidump_cpu, minidump_format, minidump_writer,
};
#[cfg(any(target_os = "macos", windows))]
pub use compat::{
    crash_context, dir_section, errors, mem_writer, minidump_cpu, minidump_format, minidump_writer,
};
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use dump::dump_stopped;
#[cfg(windows)]
pub use dump::dump_stopped;
#[cfg(target_os = "macos")]
pub use dump::dump_task;
pub use dump::{dump_process, dump_process_with};
pub use dumper::Dumper;
pub use error::Error;
pub use local::{UserStream, dump_self, dump_self_with};
pub use minidump_formats as formats;
pub use minidump_formats::minidump::{MDRawDirectory, MemoryWriter, SectionWriter};
pub use minidump_snapshot as snapshot;
#[cfg(windows)]
pub use minidump_writer::MinidumpType;
pub use options::{AuxvOverride, DumpOptions, Format};
pub use report::DumpReport;
#[cfg(all(
    feature = "bench-internals",
    any(target_os = "linux", target_os = "android"),
    target_arch = "x86_64"
))]
#[doc(hidden)]
pub use sys::bench as bench_internals;

#[cfg(target_os = "macos")]
pub use mach2;
#[cfg(target_os = "macos")]
pub use minidump_mach as mach;
#[cfg(windows)]
pub use sys::crash;
#[cfg(target_os = "macos")]
pub use sys::{RealTask, TaskDetails};

/// Id of a process, as the operating system counts them.
pub type Pid = i32;

/// The examples of the guide are compiled with the tests.
#[cfg(all(doctest, any(target_os = "linux", windows), target_arch = "x86_64"))]
#[doc = include_str!("../../../docs/compatibility.md")]
struct CompatibilityGuide;
#[cfg(all(doctest, target_os = "linux", target_arch = "x86_64"))]
#[doc = include_str!("../../../docs/local-dumps.md")]
struct LocalDumpsGuide;
