//! Stacks that overflow.

use super::{
    Kind,
    Setting::{Alone, Parked, WithLibraryHandlers},
    faults, here,
};
use crate::chain::{PATTERN_LENGTH, Pattern};
use crate::facts::Facts;
use std::arch::global_asm;
use std::hint::black_box;

pub const KINDS: &[Kind] = &[
    ("overflow-32", Parked, overflow_32),
    ("overflow-4096", Parked, overflow_4096),
    ("overflow-handled", WithLibraryHandlers, overflow_handled),
    ("deep", Alone, deep),
];

// Recursions whose frames, return address included, have exactly 32 bytes and 4 KiB.
global_asm!(
    ".macro overflow name, size",
    ".globl \\name",
    ".type \\name, @function",
    "\\name:",
    ".cfi_startproc",
    "sub rsp, \\size - 8",
    ".cfi_adjust_cfa_offset \\size - 8",
    "call \\name",
    "add rsp, \\size - 8",
    ".cfi_adjust_cfa_offset 8 - \\size",
    "ret",
    ".cfi_endproc",
    ".size \\name, . - \\name",
    ".endm",
    ".text",
    "overflow crash_here_overflow_32, 32",
    "overflow crash_here_overflow_4096, 4096",
);

unsafe extern "C" {
    fn crash_here_overflow_32();
    fn crash_here_overflow_4096();
}

fn overflow_32() {
    let tail = Pattern::new(11, 0);
    announce(&tail);
    // SAFETY: the recursion keeps to the calling convention and ends in the guard below the stack.
    unsafe { crash_here_overflow_32() };
    black_box(&tail);
}

fn overflow_4096() {
    let tail = Pattern::new(11, 0);
    announce(&tail);
    // SAFETY: as above. A frame of 4 KiB cannot step over the guard.
    unsafe { crash_here_overflow_4096() };
    black_box(&tail);
}

/// The same with the handler of a language's library: Rust's own, which tells of the overflow and aborts.
fn overflow_handled() {
    let tail = Pattern::new(11, 0);
    announce(&tail);
    crash_here_overflow_handled(1);
    black_box(&tail);
}

#[inline(never)]
fn crash_here_overflow_handled(depth: u64) -> u64 {
    match black_box(depth) {
        0 => 0,
        depth => black_box(crash_here_overflow_handled(depth + 1) + 1),
    }
}

/// Dies with 6 MB of live stack. With `CRASHER_GATE` in the environment, when the standard input ends.
fn deep() {
    if std::env::var_os("CRASHER_GATE").is_some() {
        while crate::sys::read_line().is_some() {}
    }
    crash_here_deep(6 << 20);
}

#[inline(never)]
fn crash_here_deep(left: usize) {
    let page = [left; 512];
    black_box(&page);
    match left.checked_sub(4096) {
        Some(left) => crash_here_deep(left),
        None => faults::null(),
    }
    black_box(&page);
}

/// Tells of the outermost frame of the recursion's stack that is known.
fn announce(tail: &Pattern) {
    let tail = Facts::part()
        .number("address", tail.address())
        .size("size", PATTERN_LENGTH)
        .bytes("bytes", &tail.bytes());
    here().object("tail", &tail).print();
}
