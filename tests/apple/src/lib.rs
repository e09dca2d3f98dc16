//! The harness of the tests of macOS dumps on Linux.
//!
//! A process is put together as a Mac would have it: programs built for macOS ([`programs`]) at chosen addresses, threads that
//! an instruction emulator ran until they crashed or waited in a system call ([`emulator`]), so that their registers and
//! stacks are genuine. Our capture sees it through the simulated task of `minidump-mach`; what it writes is read by LLDB
//! ([`lldb`]), by minidump-stackwalk ([`stackwalk`]), and by a parser that shares no code with the writer ([`strict`]).
//!
//! | tests | what they show |
//! |---|---|
//! | `programs` | the programs run to where their sources say |
//! | `cores` | LLDB shows lines, arguments, ids, reasons and registers of cores, for both processors; without any file, every stack to its beginning, callers of waiting threads too; signed addresses; either note; stray calls and overflows |
//! | `core_files` | cores byte by byte; cut off anywhere; forty deep threads in 300 KiB; two thousand modules |
//! | `wheels` | files that others built on Macs, for both processors in one |
//! | `optional_memory` | names for readers without files, from headers or from all memory |
//! | `minidumps` | LLDB and minidump-stackwalk show the same of minidumps with each kind of context |
//! | `reasons` | names of exceptions, texts for crash reports, debug ids as dump_syms makes them, versions, names of all planes |
//! | `conversions` | cores become minidumps and minidumps cores; what LLDB itself wrote is read |
//!
//! What these cannot show is what only a kernel of Apple's does: delivering exceptions, and granting task ports.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "this crate is the support of tests: whatever goes wrong shall fail the test"
)]

pub mod arch;
pub mod dumps;
pub mod emulator;
pub mod image;
pub mod lldb;
pub mod programs;
pub mod scene;
pub mod stackwalk;
pub mod strict;
pub mod tools;
pub mod wheels;

pub use arch::Arch;
