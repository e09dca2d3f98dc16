use super::{amd64, arm64, x86};
use crate::minidump::{FormatError, MemoryWriter};
use minidump_common::format::{MINIDUMP_LOCATION_DESCRIPTOR, ProcessorArchitecture};
use minidump_snapshot::{Cpu, CpuState, OperatingSystem, System, Thread};

/// Alignment of contexts in the file: that of `CONTEXT` on x86-64.
pub(crate) const CONTEXT_ALIGNMENT: usize = 16;

/// Which of the two pairs of processor architecture and context a dump of an AArch64 process has.
///
/// The architecture of `SystemInfo` and the record always match. A reader that meets one with the other's record shows
/// no frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Arm64Context {
    /// Architecture 0x8003 with the record of 796 bytes, as Breakpad and the published `minidump-writer` write them. The
    /// default: every reader shows all of its registers.
    #[default]
    Breakpad,
    /// Architecture 12 with the record of 912 bytes, as Windows and Crashpad write them. LLDB 19 takes it for the other
    /// one, and shows wrong flags and vector registers.
    Microsoft,
}

/// The record that all contexts of a file have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContextKind {
    Amd64,
    Arm64,
    OldArm64,
    X86,
    /// No record is known for the processor: the file has no contexts.
    Unknown,
}

impl ContextKind {
    /// The record for the processes of a system. Those of Windows have Microsoft's, whatever `arm64` says.
    pub(crate) fn new(system: &System, arm64: Arm64Context) -> Self {
        let arm64 = if system.os == OperatingSystem::Windows { Arm64Context::Microsoft } else { arm64 };
        match (&system.cpu, arm64) {
            (Cpu::Amd64 { .. }, _) => Self::Amd64,
            (Cpu::Arm64, Arm64Context::Microsoft) => Self::Arm64,
            (Cpu::Arm64, Arm64Context::Breakpad) => Self::OldArm64,
            (Cpu::X86 { .. }, _) => Self::X86,
            _ => Self::Unknown,
        }
    }

    /// Microsoft's record for these registers.
    pub(crate) fn of(state: &CpuState) -> Self {
        match state {
            CpuState::Amd64(_) => Self::Amd64,
            CpuState::Arm64(_) => Self::Arm64,
            CpuState::X86(_) => Self::X86,
            _ => Self::Unknown,
        }
    }

    /// The processor architecture that goes with it.
    pub(crate) fn architecture(self) -> ProcessorArchitecture {
        match self {
            Self::Amd64 => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_AMD64,
            Self::Arm64 => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_ARM64,
            Self::OldArm64 => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_ARM64_OLD,
            Self::X86 => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_INTEL,
            Self::Unknown => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_UNKNOWN,
        }
    }

    /// Size in bytes of a record.
    pub(crate) fn size(self) -> u32 {
        match self {
            Self::Amd64 => 1232,
            Self::Arm64 => 912,
            Self::OldArm64 => 796,
            Self::X86 => 716,
            Self::Unknown => 0,
        }
    }

    /// From the start of one record to that of the next.
    pub(crate) fn stride(self) -> u32 {
        self.size().next_multiple_of(16)
    }

    /// Whether `thread` has a context: its registers are of the file's processor, or at least stack and instruction
    /// pointer are known.
    pub(crate) fn is_known_of(self, thread: &Thread) -> bool {
        match (&thread.cpu, thread.fallback_sp_ip) {
            (Some(state), _) => self.holds(state),
            (None, Some((sp, ip))) if self == Self::X86 => x86::pointers_only(sp, ip).is_some(),
            (None, pointers) => self != Self::Unknown && pointers.is_some(),
        }
    }

    /// Whether the record is one of these registers.
    pub(crate) fn holds(self, state: &CpuState) -> bool {
        match state {
            CpuState::Amd64(_) => self == Self::Amd64,
            CpuState::Arm64(_) => matches!(self, Self::Arm64 | Self::OldArm64),
            CpuState::X86(_) => self == Self::X86,
            _ => false,
        }
    }

    /// Appends the context of `thread`, aligned, and zeros up to the next one. The descriptor is zero when there is none.
    ///
    /// A thread of which only stack and instruction pointer are known gets a context of these two whose flags claim
    /// no more, so that readers can at least unwind it.
    pub(crate) fn write(
        self,
        buffer: &mut MemoryWriter,
        thread: &Thread,
    ) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
        if let Some(state) = &thread.cpu {
            return self.write_state(buffer, state);
        }
        if !self.is_known_of(thread) {
            return Ok(MINIDUMP_LOCATION_DESCRIPTOR::default());
        }
        buffer.align(CONTEXT_ALIGNMENT);
        let (sp, ip) = thread.fallback_sp_ip.unwrap_or_default();
        let written = match self {
            Self::OldArm64 => buffer.write(arm64::old_pointers_only(sp, ip)),
            Self::Arm64 => buffer.write(arm64::pointers_only(sp, ip)),
            Self::X86 => buffer.write(x86::pointers_only(sp, ip).unwrap_or_default()),
            _ => buffer.write(amd64::pointers_only(sp, ip)),
        }?;
        buffer.align(CONTEXT_ALIGNMENT);
        Ok(written)
    }

    /// Appends the context of these registers, aligned, and zeros up to the next one. The descriptor is zero when they are
    /// another processor's.
    pub(crate) fn write_state(
        self,
        buffer: &mut MemoryWriter,
        state: &CpuState,
    ) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
        if !self.holds(state) {
            return Ok(MINIDUMP_LOCATION_DESCRIPTOR::default());
        }
        buffer.align(CONTEXT_ALIGNMENT);
        let written = match (self, state) {
            (_, CpuState::Amd64(state)) => buffer.write(amd64::context(state)),
            (Self::OldArm64, CpuState::Arm64(state)) => buffer.write(arm64::old_context(state)),
            (_, CpuState::Arm64(state)) => buffer.write(arm64::context(state)),
            (_, CpuState::X86(state)) => buffer.write(x86::context(state)),
            _ => Ok(MINIDUMP_LOCATION_DESCRIPTOR::default()),
        }?;
        buffer.align(CONTEXT_ALIGNMENT);
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minidump::memory_writer::size_of_encoded;
    use minidump_common::format::{CONTEXT_AMD64, CONTEXT_ARM64, CONTEXT_ARM64_OLD, CONTEXT_X86};
    use minidump_snapshot::cpu::{Amd64State, Arm64State};

    #[test]
    fn sizes_are_those_of_the_records() {
        assert_eq!(ContextKind::Amd64.size() as usize, size_of_encoded::<CONTEXT_AMD64>());
        assert_eq!(ContextKind::Arm64.size() as usize, size_of_encoded::<CONTEXT_ARM64>());
        assert_eq!(ContextKind::OldArm64.size() as usize, size_of_encoded::<CONTEXT_ARM64_OLD>());
        assert_eq!(ContextKind::X86.size() as usize, size_of_encoded::<CONTEXT_X86>());
        assert_eq!((ContextKind::OldArm64.stride(), ContextKind::X86.stride()), (800, 720));
    }

    #[test]
    fn registers_of_another_processor_are_no_context() {
        let mut thread = Thread::new(1);
        thread.cpu = Some(CpuState::Arm64(Box::<Arm64State>::default()));
        assert!(ContextKind::Arm64.is_known_of(&thread) && ContextKind::OldArm64.is_known_of(&thread));
        assert!(!ContextKind::Amd64.is_known_of(&thread));
        thread.cpu = Some(CpuState::Amd64(Box::<Amd64State>::default()));
        assert!(!ContextKind::OldArm64.is_known_of(&thread));
        let mut buffer = MemoryWriter::default();
        assert_eq!(ContextKind::OldArm64.write(&mut buffer, &thread).unwrap().data_size, 0);
        assert_eq!(buffer.position(), 0);
    }
}
