//! Programs in C and C++ that use the header and both libraries.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "whatever goes wrong shall fail the test"
)]

mod built;
mod crashes;
mod dumps;
mod header;
mod kept;
mod lives;
mod wrong;
