//! Captures a Mach task, the processes of Apple's systems, as a [`Snapshot`](minidump_snapshot::Snapshot).
//!
//! * [`MachTask`] is all that the capture asks of the operating system: raw words of the kernel's calls, nothing decoded.
//!   `minidump-writer` implements it with the real calls.
//! * [`capture`] is the rest: the decoding, where mistakes are made, is here and knows no operating system, so it is tested on
//!   every host, on simulated tasks (`sim`, with the feature of that name).
#![forbid(unsafe_code)]

mod arch;
mod blame;
mod bounded;
mod bytes;
mod capture;
mod copied;
mod dyld;
mod exception;
mod frameless;
mod frames;
mod image;
mod memory;
mod options;
mod own_process;
mod plan;
mod process;
mod region_tag;
mod regions;
mod source;
mod suspension;
mod sysctl;
mod system;
mod take;
mod task;
mod thread;

#[cfg(feature = "sim")]
pub mod sim;

pub use capture::{CaptureError, Captured, capture};
pub use exception::{CrashedThread, MachCrash, MachException, RawState};
pub use options::{CaptureOptions, ImageHeaders, PlanKind};
pub use region_tag::RegionTag;
pub use source::CapturedMemory;
pub use task::{KernReturn, MachTask, ProcessFacts, TaskFlavor, ThreadFlavor, ThreadPort};
