//! Register sets of x86-64 (<mach/i386/_structs.h>).

use super::mach_o::ThreadCommand;
use crate::elf_core::Fields;
use minidump_snapshot::FaultState;
use minidump_snapshot::cpu::Amd64State;

/// `x86_THREAD_STATE64`, `x86_FLOAT_STATE64` and `x86_EXCEPTION_STATE64` (<mach/i386/thread_status.h>).
const GENERAL: u32 = 4;
const FLOAT: u32 = 5;
const EXCEPTION: u32 = 6;

/// All for which there is a set. LLDB 19 reads only the first.
pub(crate) fn sets(state: &Amd64State, fault: Option<FaultState>) -> ThreadCommand {
    let sets = ThreadCommand::default().registers(GENERAL, &general(state));
    let sets = fault.iter().fold(sets, |sets, fault| sets.registers(EXCEPTION, &exception(fault)));
    state.fxsave().iter().fold(sets, |sets, image| sets.registers(FLOAT, &float(image)))
}

/// The same for a thread of which only two registers are known.
pub(crate) fn pointers_only(sp: u64, ip: u64, fault: Option<FaultState>) -> ThreadCommand {
    sets(&Amd64State { rsp: sp, rip: ip, ..Amd64State::default() }, fault)
}

/// 168 bytes.
fn general(state: &Amd64State) -> Vec<u8> {
    let registers = [
        state.rax,
        state.rbx,
        state.rcx,
        state.rdx,
        state.rdi,
        state.rsi,
        state.rbp,
        state.rsp,
        state.r8,
        state.r9,
        state.r10,
        state.r11,
        state.r12,
        state.r13,
        state.r14,
        state.r15,
        state.rip,
        state.rflags,
        state.cs.into(),
        state.fs.into(),
        state.gs.into(),
    ];
    Fields::with_capacity(168).words(&registers).finish()
}

/// 16 bytes: trap number, processor, error code, address.
fn exception(fault: &FaultState) -> Vec<u8> {
    // The trap number has eight bits in the processor.
    let number = u16::try_from(fault.number).unwrap_or(u16::MAX);
    Fields::with_capacity(16).u16(number).u16(fault.cpu).u32(fault.syndrome).u64(fault.address).finish()
}

/// 524 bytes: 8 reserved, the FXSAVE image, 4 reserved. So the command is no multiple of 8 bytes long, as in the cores
/// that Apple's kernel writes.
fn float(image: &[u8]) -> Vec<u8> {
    Fields::with_capacity(524).u64(0).bytes(image).zeros_to(524).finish()
}
