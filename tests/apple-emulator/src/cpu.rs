//! Registers by their numbers in Unicorn's headers (arm64.h, x86.h), and how functions are called.

/// An architecture of Apple's computers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// Apple silicon.
    Arm64,
    /// Intel.
    Amd64,
}

/// What the stack pointer is called.
const ARM64_SP: i32 = 4;
const ARM64_LR: i32 = 2;
const ARM64_PC: i32 = 260;
/// X0 to X7 follow each other.
const ARM64_X0: i32 = 199;
const AMD64_RSP: i32 = 44;
const AMD64_RIP: i32 = 41;
const AMD64_RAX: i32 = 35;
/// RDI, RSI, RDX, RCX, R8, R9.
const AMD64_ARGUMENTS: [i32; 6] = [39, 43, 40, 38, 106, 107];

impl Arch {
    /// `cputype` in the Mach-O header.
    pub(crate) fn cpu_type(self) -> u32 {
        match self {
            Self::Arm64 => 0x0100_000c,
            Self::Amd64 => 0x0100_0007,
        }
    }

    /// `UC_ARCH_*` and `UC_MODE_*`.
    pub(crate) fn unicorn(self) -> (u32, u32) {
        match self {
            Self::Arm64 => (2, 0),
            Self::Amd64 => (4, 8),
        }
    }

    /// The processor with all that the emulator knows: the code is built for newer ones than its first choice.
    pub(crate) fn model(self) -> u32 {
        match self {
            // UC_CPU_ARM64_MAX and UC_CPU_X86_EPYC.
            Self::Arm64 => 3,
            Self::Amd64 => 35,
        }
    }

    /// The instruction that returns from a function.
    pub(crate) fn ret(self) -> &'static [u8] {
        match self {
            Self::Arm64 => &[0xc0, 0x03, 0x5f, 0xd6],
            Self::Amd64 => &[0xc3],
        }
    }

    pub(crate) fn stack_pointer(self) -> i32 {
        match self {
            Self::Arm64 => ARM64_SP,
            Self::Amd64 => AMD64_RSP,
        }
    }

    pub(crate) fn program_counter(self) -> i32 {
        match self {
            Self::Arm64 => ARM64_PC,
            Self::Amd64 => AMD64_RIP,
        }
    }

    /// Where a return address is passed; on the stack if `None`.
    pub(crate) fn link(self) -> Option<i32> {
        match self {
            Self::Arm64 => Some(ARM64_LR),
            Self::Amd64 => None,
        }
    }

    pub(crate) fn result(self) -> i32 {
        match self {
            Self::Arm64 => ARM64_X0,
            Self::Amd64 => AMD64_RAX,
        }
    }

    /// The first argument that lies on the stack, and how many bytes lie below it when a function begins.
    pub(crate) fn stack_arguments(self) -> (usize, u64) {
        match self {
            Self::Arm64 => (8, 0),
            Self::Amd64 => (6, 8),
        }
    }

    /// The register in which argument `index` is passed; the first six never are on the stack.
    pub(crate) fn argument(self, index: usize) -> Option<i32> {
        match self {
            Self::Arm64 => i32::try_from(index).ok().filter(|index| *index < 8).map(|index| ARM64_X0 + index),
            Self::Amd64 => AMD64_ARGUMENTS.get(index).copied(),
        }
    }
}
