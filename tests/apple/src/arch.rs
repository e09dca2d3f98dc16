//! The two processors of Macs.

/// A processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arch {
    /// Apple's own.
    Arm64,
    /// Intel's.
    X86_64,
}

impl Arch {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Arm64, Self::X86_64];

    /// Its name in Apple's and LLVM's tools.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }

    /// `cputype` of its Mach-O files.
    pub fn cpu_type(self) -> u32 {
        match self {
            Self::Arm64 => 0x0100_000c,
            Self::X86_64 => 0x0100_0007,
        }
    }
}
