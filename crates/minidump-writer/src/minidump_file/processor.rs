use super::amd64;
use super::arm64;
use crate::snapshot::cpu::{Amd64State, Arm64State};
use crate::snapshot::{Cpu, CpuState, OperatingSystem, System};

/// What the contexts of a dump are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    Amd64,
    /// As written by Breakpad and the published `minidump-writer`, whose flags tell nothing but the processor.
    AppleAmd64,
    Arm64,
}

/// What a context holds.
#[derive(Debug)]
pub enum Context {
    /// All general registers.
    Full(CpuState),
    /// Stack pointer and instruction pointer, of a thread that could not be stopped.
    Pointers(u64, u64),
}

impl Processor {
    /// `None` for one of which no context is read.
    pub fn of(system: &System) -> Option<Self> {
        let is_apple = matches!(system.os, OperatingSystem::MacOs | OperatingSystem::Ios);
        match (&system.cpu, is_apple) {
            (Cpu::Amd64 { .. }, false) => Some(Self::Amd64),
            (Cpu::Amd64 { .. }, true) => Some(Self::AppleAmd64),
            (Cpu::Arm64, _) => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Parses a context. `None` for one of another processor, for one that is cut off, and for one that has not even
    /// the control registers.
    pub fn parse(self, bytes: &[u8]) -> Option<Context> {
        match self {
            Self::Amd64 => amd64::parse(bytes),
            Self::AppleAmd64 => amd64::parse_without_flags(bytes).or_else(|| amd64::parse(bytes)),
            Self::Arm64 => arm64::parse(bytes),
        }
    }
}

impl From<Amd64State> for Context {
    fn from(state: Amd64State) -> Self {
        Self::Full(CpuState::Amd64(Box::new(state)))
    }
}

impl From<Arm64State> for Context {
    fn from(state: Arm64State) -> Self {
        Self::Full(CpuState::Arm64(Box::new(state)))
    }
}
