use minidump_snapshot::{Cpu, Snapshot};

/// `CPU_TYPE_X86_64` and `CPU_TYPE_ARM64` (<mach/machine.h>).
const TYPE_X86_64: u32 = 0x0100_0007;
const TYPE_ARM64: u32 = 0x0100_000c;

/// Whose registers are in a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registers {
    Amd64,
    Arm64,
}

/// What the header says of the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Architecture {
    pub cpu_type: u32,
    pub cpu_subtype: u32,
    /// `None` for a processor that this encoder does not know.
    pub registers: Option<Registers>,
}

impl Architecture {
    /// That of the main executable, which need not be that of the machine, or else that of the machine.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let told = snapshot.apple.as_ref().map(|facts| (facts.cpu_type, facts.cpu_subtype));
        let told = told.filter(|(cpu_type, _)| *cpu_type != 0);
        let (cpu_type, cpu_subtype) = told.unwrap_or(match snapshot.system.cpu {
            // CPU_SUBTYPE_X86_64_ALL, CPU_SUBTYPE_ARM64_ALL
            Cpu::Amd64 { .. } => (TYPE_X86_64, 3),
            Cpu::Arm64 => (TYPE_ARM64, 0),
            _ => (0, 0),
        });
        let registers = match cpu_type {
            TYPE_X86_64 => Some(Registers::Amd64),
            TYPE_ARM64 => Some(Registers::Arm64),
            _ => None,
        };
        Self { cpu_type, cpu_subtype, registers }
    }
}
