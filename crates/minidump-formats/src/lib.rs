//! Dump encoders: a [`Snapshot`](minidump_snapshot::Snapshot), a [`MemoryPlan`](minidump_snapshot::MemoryPlan) and a
//! [`MemorySource`](minidump_snapshot::MemorySource) in, a file out.
//!
//! * [`elf_core`] writes ELF core files as gdb and LLDB open them.
//! * [`macho_core`] writes Mach-O core files of Apple's systems as LLDB opens them.
//! * [`apple_record`] is what of a Mach task neither these cores nor a minidump have a field for.
//! * [`minidump`] writes Microsoft's minidump format with the streams that Breakpad and its successors add for Linux.
//!
//! What it does not do: capture a process (`minidump-writer`), or read dumps, but for the
//! record of its own. There is no operating-system code here,
//! so everything is tested on any host from snapshots built in code.
#![forbid(unsafe_code)]

pub mod apple_record;
pub mod elf_core;
mod json;
pub mod macho_core;
pub mod minidump;
mod soft_errors;
