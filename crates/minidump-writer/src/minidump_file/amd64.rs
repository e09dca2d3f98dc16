//! `CONTEXT` of winnt.h for AMD64, 1,232 bytes.

use super::processor::Context;
use crate::convert::words::{u16_at, u32_at, u64_at};
use crate::snapshot::cpu::{Amd64State, DebugRegisters};

/// Size in bytes. There may be more behind it, for XSTATE.
const SIZE: usize = 1232;

/// `CONTEXT_AMD64_*` of `ContextFlags`.
const ARCHITECTURE: u32 = 0x0010_0000;
const CONTROL: u32 = 1;
const INTEGER: u32 = 2;
const FLOATING_POINT: u32 = 8;
const DEBUG: u32 = 16;

/// Parses a context. `None` for one of another processor, or without even control registers.
pub fn parse(bytes: &[u8]) -> Option<Context> {
    let bytes = bytes.get(..SIZE)?;
    let flags = u32_at(bytes, 48)?;
    if flags & ARCHITECTURE == 0 || flags & CONTROL == 0 {
        return None;
    }
    if flags & INTEGER == 0 {
        return Some(Context::Pointers(general(bytes, 4)?, general(bytes, 16)?));
    }
    state(bytes, flags).map(Context::from)
}

/// Parses a context whose flags tell nothing but the processor. It has the general registers and no others.
pub fn parse_without_flags(bytes: &[u8]) -> Option<Context> {
    let bytes = bytes.get(..SIZE)?;
    let flags = u32_at(bytes, 48)?;
    if flags == ARCHITECTURE { state(bytes, flags).map(Context::from) } else { None }
}

/// The general register number `index` of the record: RAX is 0, RIP 16.
fn general(bytes: &[u8], index: usize) -> Option<u64> {
    u64_at(bytes, 120 + 8 * index)
}

fn state(bytes: &[u8], flags: u32) -> Option<Amd64State> {
    let general = |index: usize| general(bytes, index);
    let xsave = bytes.get(256..768).filter(|_| flags & FLOATING_POINT != 0);
    Some(Amd64State {
        rax: general(0)?,
        rcx: general(1)?,
        rdx: general(2)?,
        rbx: general(3)?,
        rsp: general(4)?,
        rbp: general(5)?,
        rsi: general(6)?,
        rdi: general(7)?,
        r8: general(8)?,
        r9: general(9)?,
        r10: general(10)?,
        r11: general(11)?,
        r12: general(12)?,
        r13: general(13)?,
        r14: general(14)?,
        r15: general(15)?,
        rip: general(16)?,
        rflags: u32_at(bytes, 68)?.into(),
        cs: u16_at(bytes, 56)?,
        ds: u16_at(bytes, 58)?,
        es: u16_at(bytes, 60)?,
        fs: u16_at(bytes, 62)?,
        gs: u16_at(bytes, 64)?,
        ss: u16_at(bytes, 66)?,
        fs_base: 0,
        gs_base: 0,
        orig_rax: u64::MAX,
        xsave: xsave.map(<[u8]>::to_vec).unwrap_or_default(),
        debug: debug(bytes).filter(|_| flags & DEBUG != 0),
    })
}

fn debug(bytes: &[u8]) -> Option<DebugRegisters> {
    let register = |index: usize| u64_at(bytes, 72 + 8 * index);
    let dr0_3 = [register(0)?, register(1)?, register(2)?, register(3)?];
    Some(DebugRegisters { dr0_3, dr6: register(4)?, dr7: register(5)? })
}
