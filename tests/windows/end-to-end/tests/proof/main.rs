//! The program for Windows dumps processes of Windows.
//!
//! `cargo xtask ci windows` builds the programs and starts this, once for each bitness: `WINDOWS_ARCHITECTURE` tells which,
//! `WINDOWS_PROGRAMS` where Wine sees the programs, `WINDOWS_PROGRAMS_HERE` where they are, and `WINDOWS_RUNNER` what runs
//! them. What this cannot show is what a real Windows does otherwise than Wine.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "whatever goes wrong shall fail the test"
)]

mod contents;
mod crashes;
mod dbghelp;
mod handles;
mod harmless;
mod hostile;
mod images;
mod machine;
mod options;
mod readers;
mod registers;
