//! Captures a Mach task, the processes of Apple's systems, as a [`Snapshot`](minidump_snapshot::Snapshot).
//!
//! * [`MachTask`] is all that the capture asks of the operating system: raw words of the kernel's calls, nothing decoded.
//!   `minidump-writer` implements it with the real calls.
//! * The decoding, where mistakes are made, is here and knows no operating system, so it is tested on every host.
#![forbid(unsafe_code)]

mod task;

pub use task::{KernReturn, MachTask, ProcessFacts, TaskFlavor, ThreadFlavor, ThreadPort};
