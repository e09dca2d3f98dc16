//! The thread of `crasher registers`, whose registers hold the values that it tells.

use crate::Dump;
use crate::extended::word32;
use crate::target::{bytes, number};
use minidump::format::CONTEXT_AMD64;
use serde_json::Value;

/// Fails unless general registers and flags are those of the facts.
#[track_caller]
pub fn assert_general(context: &CONTEXT_AMD64, facts: &Value) {
    let expected = |name: &str| number(&facts["general"], name);
    let found = [
        ("rax", context.rax),
        ("rbx", context.rbx),
        ("rcx", context.rcx),
        ("rdx", context.rdx),
        ("rsi", context.rsi),
        ("rdi", context.rdi),
        ("rbp", context.rbp),
        ("rsp", context.rsp),
        ("r8", context.r8),
        ("r9", context.r9),
        ("r10", context.r10),
        ("r11", context.r11),
        ("r12", context.r12),
        ("r13", context.r13),
        ("r14", context.r14),
        ("r15", context.r15),
    ];
    for (name, value) in found {
        assert_eq!(value, expected(name), "{name}: {value:#x}");
    }
    let code = number(facts, "loop_start")..number(facts, "loop_end");
    assert!(code.contains(&context.rip), "RIP {:#x} is inside {code:#x?}", context.rip);
    // The bits that user code may set; IF and the reserved bit 1 are always set.
    assert_eq!(u64::from(context.eflags) & !0x202, number(facts, "flags"));
}

/// Fails unless x87, MXCSR and the XMM registers are.
#[track_caller]
pub fn assert_x87_and_sse(context: &CONTEXT_AMD64, facts: &Value) {
    let image = &context.float_save;
    assert_eq!(u64::from(word32(image, 0) & 0xffff), number(facts, "x87_control"), "FCW");
    assert_eq!(u64::from(word32(image, 24)), number(facts, "mxcsr"), "MXCSR in the FXSAVE image");
    assert_eq!(u64::from(context.mx_csr), number(facts, "mxcsr"), "MXCSR of the context");
    for (index, value) in list(&facts["x87"]).enumerate() {
        assert_eq!(image[32 + 16 * index..][..10], value, "ST({index})");
    }
    for (index, value) in list(&facts["vectors"]).enumerate() {
        assert_eq!(image[160 + 16 * index..][..16], value[..16], "XMM{index}");
    }
}

/// The lower 16 bytes of the first sixteen vector registers are in the plain context too.
#[track_caller]
pub fn assert_low_halves(dump: &Dump, tid: u32, facts: &Value) {
    let context = dump.context(tid).expect("the thread has registers");
    for (index, value) in list(&facts["vectors"]).take(16).enumerate() {
        assert_eq!(context.float_save[160 + 16 * index..][..16], value[..16], "XMM{index}");
    }
}

/// Bytes 16 to 31 of the first sixteen vector registers are the AVX component of the XSAVE area.
#[track_caller]
pub fn assert_avx(dump: &Dump, area: &[u8], facts: &Value) {
    let (offset, size) = dump.xsave_component(2);
    assert_eq!(size, 256);
    for (index, value) in list(&facts["vectors"]).take(16).enumerate() {
        assert_eq!(area[offset + 16 * index..][..16], value[16..32], "upper half of YMM{index}");
    }
}

/// The bytes of each object of a list.
pub fn list(value: &Value) -> impl Iterator<Item = Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes)
}
