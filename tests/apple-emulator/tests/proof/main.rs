//! The library for macOS, executed, makes of a simulated task the very file that the same source makes of it on this host.
//!
//! `cargo xtask ci apple` builds the libraries, fetches the emulator, and starts this.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "whatever goes wrong shall fail the test"
)]

mod contents;
mod exceptions;
mod expected;
mod faults;
mod hand_over;
mod handlers_from_before;
mod imports;
mod own_process;
mod parties;
mod places;
mod played;
mod protection;
mod refused_by_the_client;
mod refused_by_the_handler;
mod run;
mod tasks;
mod trouble;
