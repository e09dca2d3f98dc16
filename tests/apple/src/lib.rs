//! The harness of the tests of macOS dumps on Linux.
//!
//! A process is put together as a Mac would have it: programs built for macOS ([`programs`]) at chosen addresses, threads that
//! an instruction emulator ran until they crashed or waited in a system call ([`emulator`]), so that their registers and
//! stacks are genuine. Our capture sees it through the simulated task of `minidump-mach`; what it writes is read by LLDB
//! ([`lldb`]), by minidump-stackwalk, and by a parser that shares no code with the writer ([`strict`]).
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
