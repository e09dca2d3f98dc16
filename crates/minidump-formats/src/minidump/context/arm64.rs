//! The two records that exist for AArch64. Their general registers lie at the same offsets.

use minidump_common::format::{CONTEXT_ARM64, CONTEXT_ARM64_OLD, ContextFlagsArm64, ContextFlagsArm64Old};
use minidump_snapshot::cpu::{Arm64State, Arm64Vector};

/// The registers as `CONTEXT` of winnt.h, 912 bytes.
#[must_use]
pub fn context(state: &Arm64State) -> CONTEXT_ARM64 {
    let mut flags = ContextFlagsArm64::CONTEXT_ARM64_CONTROL | ContextFlagsArm64::CONTEXT_ARM64_INTEGER;
    let vector = state.vector.as_deref();
    if vector.is_some() {
        flags |= ContextFlagsArm64::CONTEXT_ARM64_FLOATING_POINT;
    }
    CONTEXT_ARM64 {
        context_flags: flags.bits(),
        cpsr: state.cpsr,
        iregs: general(state),
        sp: state.sp,
        pc: state.pc,
        float_regs: vector.map(float).unwrap_or_default(),
        fpcr: vector.map_or(0, |vector| vector.fpcr),
        fpsr: vector.map_or(0, |vector| vector.fpsr),
        ..CONTEXT_ARM64::default()
    }
}

/// The registers as Breakpad's first definition has them (`MDRawContextARM64_Old`), 796 bytes. It has no flag for the
/// control registers: that of the general ones stands for them, too.
#[must_use]
pub fn old_context(state: &Arm64State) -> CONTEXT_ARM64_OLD {
    let mut flags = ContextFlagsArm64Old::CONTEXT_ARM64_OLD_INTEGER;
    let vector = state.vector.as_deref();
    if vector.is_some() {
        flags |= ContextFlagsArm64Old::CONTEXT_ARM64_OLD_FLOATING_POINT;
    }
    CONTEXT_ARM64_OLD {
        context_flags: flags.bits().into(),
        iregs: general(state),
        sp: state.sp,
        pc: state.pc,
        cpsr: state.cpsr,
        fpsr: vector.map_or(0, |vector| vector.fpsr),
        fpcr: vector.map_or(0, |vector| vector.fpcr),
        float_regs: vector.map(float).unwrap_or_default(),
    }
}

/// A record of which only the stack and the instruction pointer mean anything.
pub(super) fn pointers_only(sp: u64, pc: u64) -> CONTEXT_ARM64 {
    let context_flags = ContextFlagsArm64::CONTEXT_ARM64_CONTROL.bits();
    CONTEXT_ARM64 { context_flags, sp, pc, ..CONTEXT_ARM64::default() }
}

/// As [`pointers_only`]. Without a flag for these two, the flags tell the architecture alone.
pub(super) fn old_pointers_only(sp: u64, pc: u64) -> CONTEXT_ARM64_OLD {
    const ARCHITECTURE: u64 = 0x8000_0000;
    CONTEXT_ARM64_OLD { context_flags: ARCHITECTURE, sp, pc, ..CONTEXT_ARM64_OLD::default() }
}

/// X0 to X28, the frame pointer, the link register.
fn general(state: &Arm64State) -> [u64; 31] {
    let mut registers = [0; 31];
    let all = state.x.into_iter().chain([state.fp, state.lr]);
    for (slot, register) in registers.iter_mut().zip(all) {
        *slot = register;
    }
    registers
}

fn float(vector: &Arm64Vector) -> [u128; 32] {
    vector.v.map(u128::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_claim_what_is_there() {
        let mut state = Arm64State::default();
        assert_eq!(context(&state).context_flags, 0x0040_0003);
        assert_eq!(old_context(&state).context_flags, 0x8000_0002);
        state.vector = Some(Box::default());
        assert_eq!(context(&state).context_flags, 0x0040_0007);
        assert_eq!(old_context(&state).context_flags, 0x8000_0006);
        assert_eq!(pointers_only(1, 2).context_flags, 0x0040_0001);
        assert_eq!(old_pointers_only(1, 2).context_flags, 0x8000_0000);
    }
}
