//! The capture of simulated tasks: what it finds, and what it makes of all that can go wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::cast_possible_truncation, reason = "of numbers that are written here")]

mod dyld_faults;
mod fixture;
mod full_memory;
mod hostile;
mod image_faults;
mod own_process;
mod plan;
mod region_faults;
mod scale;
mod sim;
mod stacks;
mod suspension;
mod system_faults;
mod thread_faults;
mod whole;
