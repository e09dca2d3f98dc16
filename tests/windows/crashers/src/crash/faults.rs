//! Faults of the processor.

use super::{Kind, here};
use crate::chain::Pattern;
use crate::sys::NOWHERE;
use std::arch::asm;
use std::hint::black_box;
use windows_sys::Win32::Foundation::{
    EXCEPTION_ACCESS_VIOLATION, EXCEPTION_BREAKPOINT, EXCEPTION_ILLEGAL_INSTRUCTION,
    EXCEPTION_INT_DIVIDE_BY_ZERO, EXCEPTION_PRIV_INSTRUCTION, EXCEPTION_STACK_OVERFLOW,
    STATUS_STACK_BUFFER_OVERRUN,
};

/// First parameter of an access violation (EXCEPTION_RECORD in winnt.h).
const READ: u64 = 0;
const WRITE: u64 = 1;
const EXECUTE: u64 = 8;
/// `FAST_FAIL_INVALID_ARG` of winnt.h.
const FAST_FAIL_INVALID_ARG: u32 = 5;
/// What a call of the last resort of Rust ends with: `FAST_FAIL_FATAL_APP_EXIT` of winnt.h.
const FAST_FAIL_FATAL_APP_EXIT: u64 = 7;

pub const KINDS: &[Kind] = &[
    ("null", crash_here_null),
    ("read", crash_here_read),
    ("write", crash_here_write),
    ("execute", crash_here_execute),
    ("divide", crash_here_divide),
    ("illegal", crash_here_illegal),
    ("privileged", crash_here_privileged),
    ("breakpoint", crash_here_breakpoint),
    ("fast-fail", crash_here_fast_fail),
    ("abort", crash_here_abort),
    ("stack-overflow", crash_here_stack_overflow),
];

fn violation(access: u64, address: usize) {
    here(EXCEPTION_ACCESS_VIOLATION.cast_unsigned()).numbers("parameters", [access, address as u64]).print();
}

#[inline(never)]
fn crash_here_null() {
    violation(READ, 0);
    read(0);
}

#[inline(never)]
fn crash_here_read() {
    violation(READ, NOWHERE + 0x120);
    read(NOWHERE + 0x120);
}

/// A load in the calling function.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it shall happen in the function that is named for it")]
pub fn read(address: usize) {
    // SAFETY: a load changes nothing. Where it faults the program shall die.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _, options(nostack)) };
}

#[inline(never)]
fn crash_here_write() {
    violation(WRITE, NOWHERE + 0x128);
    // SAFETY: nothing is there, so the store faults and changes nothing.
    unsafe { asm!("mov [{0}], {0}", in(reg) NOWHERE + 0x128, options(nostack)) };
}

#[inline(never)]
fn crash_here_execute() {
    // What it calls is the address of the exception, not the call.
    let address = NOWHERE as u64;
    here(EXCEPTION_ACCESS_VIOLATION.cast_unsigned())
        .numbers("parameters", [EXECUTE, address])
        .number("address", address)
        .print();
    // SAFETY: the call faults before it does anything but push its return address.
    unsafe { asm!("call {0}", in(reg) NOWHERE, clobber_abi("C")) };
}

#[inline(never)]
fn crash_here_divide() {
    here(EXCEPTION_INT_DIVIDE_BY_ZERO.cast_unsigned()).numbers("parameters", []).print();
    // SAFETY: the division faults; it would change no memory.
    unsafe { asm!("div {0:e}", in(reg) 0_u32, inout("eax") 1_u32 => _, inout("edx") 0_u32 => _) };
}

#[inline(never)]
fn crash_here_illegal() {
    here(EXCEPTION_ILLEGAL_INSTRUCTION.cast_unsigned()).numbers("parameters", []).print();
    // SAFETY: the instruction faults.
    unsafe { asm!("ud2") };
}

#[inline(never)]
fn crash_here_privileged() {
    here(EXCEPTION_PRIV_INSTRUCTION.cast_unsigned()).numbers("parameters", []).print();
    // SAFETY: the instruction faults outside of the kernel.
    unsafe { asm!("hlt") };
}

#[inline(never)]
fn crash_here_breakpoint() {
    here(EXCEPTION_BREAKPOINT.cast_unsigned()).print();
    // SAFETY: the instruction changes nothing.
    unsafe { asm!("int3") };
}

/// What `__fastfail` of winnt.h is.
#[inline(never)]
fn crash_here_fast_fail() {
    here(STATUS_STACK_BUFFER_OVERRUN.cast_unsigned())
        .numbers("parameters", [FAST_FAIL_INVALID_ARG.into()])
        .print();
    // SAFETY: the interrupt ends the process.
    unsafe { asm!("int 0x29", in("ecx") FAST_FAIL_INVALID_ARG) };
}

#[inline(never)]
fn crash_here_abort() {
    here(STATUS_STACK_BUFFER_OVERRUN.cast_unsigned())
        .numbers("parameters", [FAST_FAIL_FATAL_APP_EXIT])
        .print();
    std::process::abort();
}

#[inline(never)]
fn crash_here_stack_overflow() {
    let tail = Pattern::new(77, 7);
    let told = crate::facts::Facts::part().number("address", tail.address()).bytes("bytes", &tail.bytes());
    here(EXCEPTION_STACK_OVERFLOW.cast_unsigned()).object("tail", &told).print();
    black_box(recurse(black_box(1)));
    black_box(&tail);
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "the stack shall run over")]
fn recurse(depth: u64) -> u64 {
    let frame = [depth; 32];
    recurse(depth + 1) + black_box(&frame).iter().sum::<u64>()
}
