//! Which threads of a Mach task, or of a process of Windows, wait in a system call. The functions that make them have no frame: without knowing that, the
//! unwinder would leave out their callers.

use super::model::AppleThread;
use minidump::{MinidumpContext, MinidumpRawContext, UnifiedMemoryList};

/// `svc #0x80`, an instruction of AArch64.
const SVC: u32 = 0xd400_1001;
/// `syscall`, an instruction of x86-64.
const SYSCALL: u16 = 0x050f;
/// `ret` of AArch64, and `ret` and `ret n` of x86 and x86-64.
const RET_ARM64: u32 = 0xd65f_03c0;
const RET: [u8; 2] = [0xc3, 0xc2];
/// Bits 26 to 31 of a syndrome (ESR) tell the class of an exception; this is SVC in 64-bit code.
const CLASS_SVC: u64 = 0x15;

/// Whether the thread with these registers stands right behind a system call's instruction. The code tells, or where the dump
/// has none, what the processor recorded of the thread.
pub fn is_waiting(
    context: &MinidumpContext,
    memory: &UnifiedMemoryList,
    apple: Option<&AppleThread>,
) -> bool {
    let instruction = context.get_instruction_pointer();
    match context.raw {
        MinidumpRawContext::Arm64(_) | MinidumpRawContext::OldArm64(_) => {
            let code = instruction
                .checked_sub(4)
                .and_then(|before| memory.memory_at_address(before)?.get_memory_at_address::<u32>(before));
            let recorded = || apple.and_then(|apple| apple.fault).map(|fault| fault.syndrome.0 >> 26);
            code.map_or_else(|| recorded() == Some(CLASS_SVC), |code| code == SVC)
        }
        MinidumpRawContext::Amd64(_) => {
            let code = instruction
                .checked_sub(2)
                .and_then(|before| memory.memory_at_address(before)?.get_memory_at_address::<u16>(before));
            code == Some(SYSCALL)
        }
        _ => false,
    }
}

/// Whether the next instruction of the thread with these registers is a return: its caller is then where a function without
/// frame has it. In Windows such an instruction comes right behind that of every system call.
pub fn is_returning(context: &MinidumpContext, memory: &UnifiedMemoryList) -> bool {
    let at = context.get_instruction_pointer();
    let Some(code) = memory.memory_at_address(at) else { return false };
    match context.raw {
        MinidumpRawContext::Arm64(_) => code.get_memory_at_address::<u32>(at) == Some(RET_ARM64),
        MinidumpRawContext::Amd64(_) | MinidumpRawContext::X86(_) => {
            code.get_memory_at_address::<u8>(at).is_some_and(|byte| RET.contains(&byte))
        }
        _ => false,
    }
}
