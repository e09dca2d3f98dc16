use crate::{MachTask, sysctl};

/// An architecture that can be captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    Arm64,
    Amd64,
}

impl Arch {
    /// CPU_TYPE_ARM64 and CPU_TYPE_X86_64 (mach/machine.h).
    const ARM64: u32 = 0x0100_000c;
    const AMD64: u32 = 0x0100_0007;

    pub fn of_cpu_type(cpu_type: u32) -> Option<Self> {
        match cpu_type {
            Self::ARM64 => Some(Self::Arm64),
            Self::AMD64 => Some(Self::Amd64),
            _ => None,
        }
    }

    pub fn cpu_type(self) -> u32 {
        match self {
            Self::Arm64 => Self::ARM64,
            Self::Amd64 => Self::AMD64,
        }
    }

    /// The machine's, which programs that are translated do not share; else the one that this was built for.
    pub fn of_machine(task: &dyn MachTask) -> Self {
        let by_type = sysctl::number(task, "hw.cputype").and_then(|value| u32::try_from(value).ok());
        // 32-bit kernels' number, without CPU_ARCH_ABI64, is told by old systems.
        let by_type = by_type.and_then(|value| Self::of_cpu_type(value | 0x0100_0000));
        let by_name = || match sysctl::text(task, "hw.machine")?.as_str() {
            "x86_64" => Some(Self::Amd64),
            name if name.starts_with("arm64") || name.starts_with("iP") => Some(Self::Arm64),
            _ => None,
        };
        let built_for = if cfg!(target_arch = "x86_64") && cfg!(target_vendor = "apple") {
            Self::Amd64
        } else {
            Self::Arm64
        };
        by_type.or_else(by_name).unwrap_or(built_for)
    }

    /// Bytes of a page.
    pub fn page_size(self) -> u32 {
        match self {
            Self::Arm64 => 0x4000,
            Self::Amd64 => 0x1000,
        }
    }
}
