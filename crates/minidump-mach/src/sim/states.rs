//! Registers as the words of `thread_get_state`.

use minidump_snapshot::cpu::{Amd64State, Arm64State, Arm64Vector};
use minidump_snapshot::{CpuState, FaultState};

const ARM_THREAD_STATE64: u32 = 6;
pub(super) const ARM_EXCEPTION_STATE64: u32 = 7;
const ARM_NEON_STATE64: u32 = 17;
const X86_THREAD_STATE64: u32 = 4;
const X86_FLOAT_STATE64: u32 = 5;
const X86_EXCEPTION_STATE64: u32 = 6;

pub(super) fn of_cpu(cpu: &CpuState) -> Vec<(u32, Vec<u32>)> {
    let fault = FaultState::default();
    match cpu {
        CpuState::Arm64(state) => {
            let vector = state.vector.as_deref().copied().unwrap_or_default();
            vec![
                (ARM_THREAD_STATE64, arm64(state)),
                (ARM_NEON_STATE64, neon(&vector)),
                of_fault(&fault, true),
            ]
        }
        CpuState::Amd64(state) => {
            let image = state.fxsave().unwrap_or(&[0; 512]);
            vec![
                (X86_THREAD_STATE64, amd64(state)),
                (X86_FLOAT_STATE64, float(image)),
                of_fault(&fault, false),
            ]
        }
        _ => Vec::new(),
    }
}

pub(super) fn of_fault(fault: &FaultState, is_arm: bool) -> (u32, Vec<u32>) {
    let mut words = Vec::new();
    if is_arm {
        push(&mut words, fault.address);
        words.extend([fault.syndrome, fault.number]);
        return (ARM_EXCEPTION_STATE64, words);
    }
    words.extend([fault.number & 0xffff | u32::from(fault.cpu) << 16, fault.syndrome]);
    push(&mut words, fault.address);
    (X86_EXCEPTION_STATE64, words)
}

fn arm64(state: &Arm64State) -> Vec<u32> {
    let mut words = Vec::with_capacity(68);
    for register in state.x.iter().chain([&state.fp, &state.lr, &state.sp, &state.pc]) {
        push(&mut words, *register);
    }
    words.extend([state.cpsr, 0]);
    words
}

fn neon(vector: &Arm64Vector) -> Vec<u32> {
    let words = vector.v.iter().flatten().copied().collect::<Vec<u8>>();
    let mut words = from_bytes(&words);
    words.extend([vector.fpsr, vector.fpcr, 0, 0]);
    words
}

fn amd64(state: &Amd64State) -> Vec<u32> {
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
        u64::from(state.cs),
        u64::from(state.fs),
        u64::from(state.gs),
    ];
    let mut words = Vec::with_capacity(42);
    for register in registers {
        push(&mut words, register);
    }
    words
}

fn float(image: &[u8]) -> Vec<u32> {
    let mut words = vec![0, 0];
    words.extend(from_bytes(image));
    words.push(0);
    words
}

fn from_bytes(bytes: &[u8]) -> Vec<u32> {
    let words = bytes
        .chunks_exact(4)
        .map(|word| word.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)));
    words.collect()
}

/// Appends `value` as two words, the lower first.
pub(super) fn push(words: &mut Vec<u32>, value: u64) {
    let low = u32::try_from(value & 0xffff_ffff).unwrap_or_default();
    let high = u32::try_from(value >> 32).unwrap_or_default();
    words.extend([low, high]);
}
