//! Dumps of Mach tasks.

mod any;
mod build;
mod contexts;
mod crash_info;
mod exceptions;
mod facts;
mod lists;
mod system;

pub use any::{any_mac_snapshot, any_pair};
pub use build::{
    PAIRS, apple_thread, arm64_registers, image, intel, intel_registers, mac_system, shared_cache,
};
