//! A simulated task: an address space built from real or synthetic Mach-O files, with everything that a capture asks a
//! kernel for, and with faults that are injected on purpose.
//!
//! ```
//! use minidump_mach::sim::{Call, Effect, SimArch, SimTask, SimThread, SyntheticImage, When};
//! use minidump_mach::{CaptureOptions, KernReturn, capture};
//! use minidump_snapshot::CpuState;
//! use minidump_snapshot::cpu::Arm64State;
//!
//! let program = SyntheticImage::executable("/Applications/App.app/Contents/MacOS/App").uuid([0xaa; 16]);
//! let cpu = Arm64State { pc: 0x1_0000_2010, sp: 0x1_7000_3f00, fp: 0x1_7000_3f20, ..Arm64State::default() };
//! let thread = SimThread::new(0x1_0000_1234).named("main").with_cpu(&CpuState::Arm64(Box::new(cpu)));
//! let task = SimTask::builder(SimArch::Arm64)
//!     // Real files work the same: `.module("path/to/file.dylib", 0x1_0400_0000)`.
//!     .image(&program, 0x1_0000_0000)
//!     .stack(0x1_7000_0000, 0x4000)
//!     .frames(0x1_7000_3f20, 0x20, &[0x1_0000_2040, 0x1_0000_2080])
//!     .thread(thread)
//!     .build()?;
//! task.inject(Call::ProcessFacts, When::Always, Effect::Fail(KernReturn::FAILURE));
//!
//! let captured = capture(&task, &CaptureOptions::default(), None)?;
//! assert_eq!(captured.snapshot.threads[0].name.as_deref(), Some(&b"main"[..]));
//! assert!(captured.snapshot.modules.iter().any(|module| module.is_main));
//! assert_eq!(captured.snapshot.soft_errors.len(), 1);
//! assert_eq!(task.suspend_count(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod calls;
mod dyld;
mod fault;
mod image;
mod map;
mod states;
mod synthetic;
mod sysctls;
mod task;
mod thread;

pub use builder::SimBuilder;
pub use fault::{Call, Effect, When};
pub use map::SimRegion;
pub use synthetic::SyntheticImage;
pub use task::SimTask;
pub use thread::SimThread;

/// The architecture of a simulated task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SimArch {
    /// AArch64 without pointer authentication.
    Arm64,
    /// AArch64 with it.
    Arm64e,
    /// x86-64.
    Amd64,
}

impl SimArch {
    /// `cputype` (mach/machine.h).
    #[must_use]
    pub fn cpu_type(self) -> u32 {
        match self {
            Self::Arm64 | Self::Arm64e => 0x0100_000c,
            Self::Amd64 => 0x0100_0007,
        }
    }

    /// `cpusubtype`.
    #[must_use]
    pub fn cpu_subtype(self) -> u32 {
        match self {
            Self::Arm64 => 0,
            Self::Arm64e => 0x8000_0002,
            Self::Amd64 => 3,
        }
    }

    /// Bytes of a page.
    #[must_use]
    pub fn page_size(self) -> u64 {
        match self {
            Self::Arm64 | Self::Arm64e => 0x4000,
            Self::Amd64 => 0x1000,
        }
    }
}

/// Why a simulated task cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The file cannot be read.
    #[error("the Mach-O file cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// The file is no Mach-O file, or a broken one.
    #[error("the file is no usable Mach-O file: {0}")]
    MachO(#[from] object::read::Error),
    /// The universal file has no image of the task's architecture.
    #[error("the file has no image for {arch:?}")]
    NoImage {
        /// The task's architecture.
        arch: SimArch,
    },
    /// Something else lies there already, or the range is none.
    #[error("{size:#x} bytes at {start:#x} are taken, or are no range")]
    Occupied {
        /// First address.
        start: u64,
        /// Size in bytes.
        size: u64,
    },
    /// There is no memory to write to.
    #[error("no memory is mapped at {address:#x}")]
    Unmapped {
        /// Where it was to be written.
        address: u64,
    },
}
