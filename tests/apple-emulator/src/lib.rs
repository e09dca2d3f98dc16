//! Runs a library that was built for macOS, on any host.
//!
//! [`MachO`] reads the file, [`Machine`] executes its instructions (Unicorn, loaded at run time), and [`System`] plays the
//! functions of libSystem that it calls: what asks the kernel for a task is answered by a
//! [`MachTask`](minidump_mach::MachTask) of the host, and what is not known ends the run. So the very code that is shipped
//! is shown to make its calls as Apple's headers want them, and to make of the answers what the same source makes of them here.
#![deny(unsafe_code)]

mod cpu;
mod disk;
mod fixups;
mod heap;
mod ipc_calls;
pub mod kernel;
mod mach_calls;
mod machine;
mod macho;
mod process;
mod reader;
mod socket_calls;
mod system;
mod unicorn;

pub use cpu::Arch;
pub use machine::Machine;
pub use macho::MachO;
pub use system::System;

/// Why a library cannot be run, or was stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The emulator's library cannot be loaded.
    #[error("the emulator cannot be used: {0}")]
    Emulator(String),
    /// It failed at an address of the library.
    #[error("{what} at {pc:#x} (the library begins at {base:#x}); last calls: {calls}")]
    Stopped {
        /// What happened.
        what: String,
        /// Where.
        pc: u64,
        /// Where the library lies.
        base: u64,
        /// What it called last.
        calls: String,
    },
    /// The file is not what the linker makes.
    #[error("the library cannot be loaded: {0}")]
    MachO(&'static str),
    /// It has no such function.
    #[error("the library has no function {0}")]
    NoFunction(String),
}
