//! The two records of AArch64: `CONTEXT` of winnt.h, 912 bytes, and that of Breakpad, 796 bytes. Which one it is, its
//! flags tell: there are writers whose record does not match the architecture in `SystemInfo`.

use super::processor::Context;
use crate::convert::words::{u32_at, u64_at};
use crate::snapshot::cpu::{Arm64State, Arm64Vector};

/// Where the two records differ.
#[derive(Debug)]
struct Layout {
    size: usize,
    cpsr: usize,
    fpsr: usize,
    fpcr: usize,
    vector: usize,
}

const MICROSOFT: Layout = Layout { size: 912, cpsr: 4, fpsr: 788, fpcr: 784, vector: 272 };
const BREAKPAD: Layout = Layout { size: 796, cpsr: 272, fpsr: 276, fpcr: 280, vector: 284 };
/// Bits of the flags. The first one is of winnt.h alone.
const CONTROL: u32 = 1;
const INTEGER: u32 = 2;
const FLOATING_POINT: u32 = 4;
const OF_MICROSOFT: u32 = 0x0040_0000;
const OF_BREAKPAD: u32 = 0x8000_0000;

/// Parses a context of either kind.
pub fn parse(bytes: &[u8]) -> Option<Context> {
    let flags = u32_at(bytes, 0)?;
    let layout = match (flags & OF_BREAKPAD != 0, flags & OF_MICROSOFT != 0) {
        (true, _) => BREAKPAD,
        (_, true) => MICROSOFT,
        _ => return None,
    };
    let bytes = bytes.get(..layout.size)?;
    let general = |index: usize| u64_at(bytes, 8 + 8 * index);
    let (sp, pc) = (general(31)?, general(32)?);
    if flags & INTEGER == 0 {
        let has_pointers = flags & (OF_BREAKPAD | CONTROL) != 0;
        return has_pointers.then_some(Context::Pointers(sp, pc));
    }
    let mut x = [0; 29];
    for (index, register) in x.iter_mut().enumerate() {
        *register = general(index)?;
    }
    let vector = if flags & FLOATING_POINT == 0 { None } else { Some(Box::new(vector(bytes, &layout)?)) };
    let (fp, lr, cpsr) = (general(29)?, general(30)?, u32_at(bytes, layout.cpsr)?);
    Some(Arm64State { x, fp, lr, sp, pc, cpsr, vector }.into())
}

fn vector(bytes: &[u8], layout: &Layout) -> Option<Arm64Vector> {
    let mut v = [[0; 16]; 32];
    let (registers, _) = bytes.get(layout.vector..)?.as_chunks::<16>();
    for (register, stored) in v.iter_mut().zip(registers) {
        *register = *stored;
    }
    Some(Arm64Vector { v, fpsr: u32_at(bytes, layout.fpsr)?, fpcr: u32_at(bytes, layout.fpcr)? })
}
