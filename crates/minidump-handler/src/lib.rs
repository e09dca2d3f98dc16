//! Ways from a crash to a dump.
//!
//! - [`store`]: the folder in which dumps are kept, with what is known of each, within limits.
//! - [`supervisor`]: runs a command and has a dump written of each of its processes that crashes (Linux on x86-64).
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod store;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub mod supervisor;
