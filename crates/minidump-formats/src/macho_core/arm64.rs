//! Register sets of AArch64 (<mach/arm/_structs.h>).

use super::mach_o::ThreadCommand;
use crate::elf_core::Fields;
use minidump_snapshot::FaultState;
use minidump_snapshot::cpu::{Arm64State, Arm64Vector};

/// `ARM_THREAD_STATE64`, `ARM_EXCEPTION_STATE64` and `ARM_NEON_STATE64` (<mach/arm/thread_status.h>).
const GENERAL: u32 = 6;
const EXCEPTION: u32 = 7;
const NEON: u32 = 17;

/// All that is known, in the order in which LLDB 19 reads all of it.
pub(crate) fn sets(state: &Arm64State, fault: Option<FaultState>) -> ThreadCommand {
    let sets = ThreadCommand::default().registers(GENERAL, &general(state));
    let sets = fault.iter().fold(sets, |sets, fault| sets.registers(EXCEPTION, &exception(fault)));
    state.vector.iter().fold(sets, |sets, vector| sets.registers(NEON, &neon(vector)))
}

/// The same for a thread of which only two registers are known.
pub(crate) fn pointers_only(sp: u64, pc: u64, fault: Option<FaultState>) -> ThreadCommand {
    sets(&Arm64State { sp, pc, ..Arm64State::default() }, fault)
}

/// 272 bytes: X0 to X28, FP, LR, SP, PC, CPSR, flags.
fn general(state: &Arm64State) -> Vec<u8> {
    let fields = Fields::with_capacity(272).words(&state.x);
    fields.words(&[state.fp, state.lr, state.sp, state.pc]).u32(state.cpsr).u32(0).finish()
}

/// 16 bytes: FAR, ESR, exception.
fn exception(fault: &FaultState) -> Vec<u8> {
    Fields::with_capacity(16).u64(fault.address).u32(fault.syndrome).u32(fault.number).finish()
}

/// 528 bytes: V0 to V31, FPSR, FPCR, padding.
fn neon(vector: &Arm64Vector) -> Vec<u8> {
    let fields = vector.v.iter().fold(Fields::with_capacity(528), |fields, register| fields.bytes(register));
    fields.u32(vector.fpsr).u32(vector.fpcr).u64(0).finish()
}
