//! Registers as `thread_get_state` gives them.

use crate::snapshot::CpuState;
use crate::snapshot::cpu::{Amd64State, Arm64State};
use minidump_mach::RawState;

/// ARM_THREAD_STATE64 (mach/arm/thread_status.h) and x86_THREAD_STATE64 (mach/i386/thread_status.h).
const ARM64: u32 = 6;
const AMD64: u32 = 4;

/// The general registers, which are all that a capture needs to find the stack. `None` for other processors.
pub fn raw_state(cpu: &CpuState) -> Option<RawState> {
    match cpu {
        CpuState::Arm64(state) => Some(RawState { flavor: ARM64, words: arm64(state) }),
        CpuState::Amd64(state) => Some(RawState { flavor: AMD64, words: amd64(state) }),
        _ => None,
    }
}

/// x0 to x28, fp, lr, sp, pc, cpsr, and a word of filling.
fn arm64(state: &Arm64State) -> Vec<u32> {
    let rest = [state.fp, state.lr, state.sp, state.pc];
    words(state.x.into_iter().chain(rest)).chain([state.cpsr, 0]).collect()
}

/// rax, rbx, rcx, rdx, rdi, rsi, rbp, rsp, r8 to r15, rip, rflags, cs, fs, gs.
fn amd64(state: &Amd64State) -> Vec<u32> {
    let first = [state.rax, state.rbx, state.rcx, state.rdx, state.rdi, state.rsi, state.rbp, state.rsp];
    let second = [state.r8, state.r9, state.r10, state.r11, state.r12, state.r13, state.r14, state.r15];
    let segments = [state.cs, state.fs, state.gs].map(u64::from);
    words(first.into_iter().chain(second).chain([state.rip, state.rflags]).chain(segments)).collect()
}

/// The halves of each value, the lower one first.
fn words(values: impl Iterator<Item = u64>) -> impl Iterator<Item = u32> {
    values.flat_map(|value| {
        [value, value >> 32].map(|half| u32::try_from(half & 0xffff_ffff).unwrap_or_default())
    })
}
