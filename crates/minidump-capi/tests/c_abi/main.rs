//! Programs in C and C++ that use the header and both libraries.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod built;
mod crashes;
mod dumps;
mod header;
mod kept;
mod lives;
mod wrong;
