//! What Apple's headers call exceptions (<mach/exception_types.h>, <mach/arm/exception.h>, <mach/i386/exception.h>).

use super::architecture::Registers;

/// `EXC_*`
const BAD_ACCESS: u32 = 1;
const BAD_INSTRUCTION: u32 = 2;
const ARITHMETIC: u32 = 3;
const SOFTWARE: u32 = 5;
const BREAKPOINT: u32 = 6;

/// The name of an exception's type.
#[must_use]
pub fn exception_name(kind: u32) -> Option<&'static str> {
    Some(match kind {
        BAD_ACCESS => "EXC_BAD_ACCESS",
        BAD_INSTRUCTION => "EXC_BAD_INSTRUCTION",
        ARITHMETIC => "EXC_ARITHMETIC",
        4 => "EXC_EMULATION",
        SOFTWARE => "EXC_SOFTWARE",
        BREAKPOINT => "EXC_BREAKPOINT",
        7 => "EXC_SYSCALL",
        8 => "EXC_MACH_SYSCALL",
        9 => "EXC_RPC_ALERT",
        10 => "EXC_CRASH",
        11 => "EXC_RESOURCE",
        12 => "EXC_GUARD",
        13 => "EXC_CORPSE_NOTIFY",
        _ => return None,
    })
}

/// The name of an exception's first code, which for some types depends on the processor.
#[must_use]
pub fn exception_code_name(kind: u32, code: u32, is_arm64: bool) -> Option<&'static str> {
    let registers = if is_arm64 { Registers::Arm64 } else { Registers::Amd64 };
    Some(match (kind, code, registers) {
        (BAD_ACCESS, 1, _) => "KERN_INVALID_ADDRESS",
        (BAD_ACCESS, 2, _) => "KERN_PROTECTION_FAILURE",
        (BAD_ACCESS, 10, _) => "KERN_MEMORY_ERROR",
        (BAD_ACCESS, 50, _) => "KERN_CODESIGN_ERROR",
        (BAD_ACCESS, 0x101, Registers::Arm64) => "EXC_ARM_DA_ALIGN",
        (BAD_ACCESS, 0x102, Registers::Arm64) => "EXC_ARM_DA_DEBUG",
        (BAD_ACCESS, 0x103, Registers::Arm64) => "EXC_ARM_SP_ALIGN",
        (BAD_ACCESS, 0x104, Registers::Arm64) => "EXC_ARM_SWP",
        (BAD_ACCESS, 0x105, Registers::Arm64) => "EXC_ARM_PAC_FAIL",
        (BAD_ACCESS, 13, Registers::Amd64) => "EXC_I386_GPFLT",
        (BAD_INSTRUCTION, 1, Registers::Arm64) => "EXC_ARM_UNDEFINED",
        (BAD_INSTRUCTION, 1, Registers::Amd64) => "EXC_I386_INVOP",
        (ARITHMETIC, 1, Registers::Amd64) => "EXC_I386_DIV",
        (BREAKPOINT, 1, Registers::Arm64) => "EXC_ARM_BREAKPOINT",
        (BREAKPOINT, 1, Registers::Amd64) => "EXC_I386_SGL",
        (BREAKPOINT, 2, Registers::Amd64) => "EXC_I386_BPT",
        // The signal of abort(2), as crash reporters write it.
        (SOFTWARE, 0x1_0002, _) => "SIGABRT",
        (SOFTWARE, 0x1_0003, _) => "EXC_SOFT_SIGNAL",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_named_for_their_processor() {
        assert_eq!(exception_name(1), Some("EXC_BAD_ACCESS"));
        assert_eq!(exception_name(0), None);
        assert_eq!(exception_code_name(1, 2, true), Some("KERN_PROTECTION_FAILURE"));
        assert_eq!(exception_code_name(1, 13, false), Some("EXC_I386_GPFLT"));
        assert_eq!(exception_code_name(1, 13, true), None);
        assert_eq!(exception_code_name(6, 1, true), Some("EXC_ARM_BREAKPOINT"));
    }
}
