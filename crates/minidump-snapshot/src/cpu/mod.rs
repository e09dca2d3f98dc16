//! Register state, one file per architecture.

mod amd64;
mod arm64;
mod x86;

pub use amd64::{Amd64State, DebugRegisters};
pub use arm64::{Arm64State, Arm64Vector};
use serde::{Deserialize, Serialize};
pub use x86::X86State;

/// The registers of one thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CpuState {
    /// x86-64.
    Amd64(Box<Amd64State>),
    /// AArch64.
    Arm64(Box<Arm64State>),
    /// 32-bit x86.
    X86(Box<X86State>),
}

impl CpuState {
    /// The stack pointer.
    #[must_use]
    pub fn stack_pointer(&self) -> u64 {
        match self {
            Self::Amd64(state) => state.rsp,
            Self::Arm64(state) => state.sp,
            Self::X86(state) => u64::from(state.esp),
        }
    }

    /// The instruction pointer.
    #[must_use]
    pub fn instruction_pointer(&self) -> u64 {
        match self {
            Self::Amd64(state) => state.rip,
            Self::Arm64(state) => state.pc,
            Self::X86(state) => u64::from(state.eip),
        }
    }

    /// The registers that may hold a pointer to data.
    #[must_use]
    pub fn data_pointers(&self) -> impl ExactSizeIterator<Item = u64> + use<> {
        match self {
            Self::Amd64(state) => state.data_pointers(),
            Self::Arm64(state) => state.data_pointers(),
            Self::X86(state) => state.data_pointers(),
        }
        .into_iter()
    }

    /// Bytes below the stack pointer that the ABI lets a leaf function use.
    #[must_use]
    pub fn red_zone(&self) -> u64 {
        match self {
            // System V AMD64 ABI §3.2.2; "Writing ARM64 code for Apple platforms". Other systems on AArch64 have none, and
            // 128 bytes more do no harm.
            Self::Amd64(_) | Self::Arm64(_) => 128,
            Self::X86(_) => 0,
        }
    }
}
