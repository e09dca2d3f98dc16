//! CONTEXT of AArch64 (winnt.h, `ARM64_NT_CONTEXT`).

use super::context::context;
use super::fields::Fields;
use crate::snapshot::CpuState;
use crate::snapshot::cpu::{Arm64State, Arm64Vector};

/// Size of the structure in bytes.
const SIZE: usize = 0x390;
/// Where `ContextFlags` lies.
const FLAGS: usize = 0;
/// `CONTEXT_CONTROL`, `CONTEXT_INTEGER` and `CONTEXT_FLOATING_POINT`: debug registers have no place in the model.
const ALL: u32 = 0x0040_0007;
/// `CONTEXT_FLOATING_POINT` without the bit of the processor.
const FLOATING_POINT: u32 = 4;

context!();

/// The registers in a CONTEXT. `_teb` is not needed: X18 points at it.
fn decode(context: &[u8], _teb: u64) -> CpuState {
    let fields = Fields(context);
    let vector = (fields.u32(FLAGS) & FLOATING_POINT != 0).then(|| {
        let v = std::array::from_fn(|index| fields.array(0x110 + index * 16));
        Box::new(Arm64Vector { v, fpsr: fields.u32(0x314), fpcr: fields.u32(0x310) })
    });
    CpuState::Arm64(Box::new(Arm64State {
        x: std::array::from_fn(|index| fields.u64(0x8 + index * 8)),
        fp: fields.u64(0xf0),
        lr: fields.u64(0xf8),
        sp: fields.u64(0x100),
        pc: fields.u64(0x108),
        cpsr: fields.u32(0x4),
        vector,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;
    use windows_sys::Win32::System::Diagnostics::Debug::CONTEXT;

    #[test]
    fn offsets_are_those_of_the_structure() {
        assert_eq!(size_of::<CONTEXT>(), SIZE);
        let offsets = [
            (offset_of!(CONTEXT, Cpsr), 0x4),
            (offset_of!(CONTEXT, Anonymous), 0x8),
            (offset_of!(CONTEXT, Sp), 0x100),
            (offset_of!(CONTEXT, Pc), 0x108),
            (offset_of!(CONTEXT, V), 0x110),
            (offset_of!(CONTEXT, Fpcr), 0x310),
            (offset_of!(CONTEXT, Fpsr), 0x314),
        ];
        assert!(offsets.iter().all(|(real, used)| real == used), "{offsets:x?}");
    }
}
