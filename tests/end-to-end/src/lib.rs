//! The harness of the end-to-end tests: starts crashers, dumps them with the real program, reads the dumps.
//!
//! Every wait has a deadline and every process a guard: a dumper that hangs fails the test with a sentence, and
//! nothing survives a failed test. Programs under test are found as [`programs`] describes.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::indexing_slicing,
    clippy::return_self_not_must_use,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "this crate is the support of tests: whatever goes wrong shall fail the test"
)]

pub mod annotations;
pub mod around;
pub mod contents;
pub mod converted;
pub mod core_pattern;
pub mod crash_matrix;
pub mod debuggers;
pub mod dump;
pub mod elf;
pub mod extended;
pub mod known_registers;
pub mod needs;
pub mod pointed_to;
pub mod privacy;
pub mod proc_files;
pub mod process;
pub mod programs;
pub mod protected;
pub mod readers;
pub mod refusal;
pub mod stack_pointers;
pub mod target;
pub mod terminal;
pub mod unharmed;

pub use dump::{Dump, dump, dump_by, dump_with};
pub use target::Target;
