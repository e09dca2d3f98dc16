//! CONTEXT of 32-bit x86 (winnt.h), which a 64-bit system calls WOW64_CONTEXT.

use super::context::context;
use super::fields::Fields;
use crate::snapshot::CpuState;
use crate::snapshot::cpu::{DebugRegisters, X86State};

/// Size of the structure in bytes.
const SIZE: usize = 0x2cc;
/// Where `ContextFlags` lies.
const FLAGS: usize = 0;
/// `CONTEXT_ALL`: control, integer, segments, floating point, debug and extended registers.
const ALL: u32 = 0x0001_003f;
/// `CONTEXT_FLOATING_POINT`, `CONTEXT_DEBUG_REGISTERS` and `CONTEXT_EXTENDED_REGISTERS` without the bit of the processor.
const FLOATING_POINT: u32 = 0x8;
const EXTENDED_REGISTERS: u32 = 0x20;
const DEBUG_REGISTERS: u32 = 0x10;
/// Where `ExtendedRegisters` lies, the FXSAVE image.
pub const FXSAVE: usize = 0xcc;
/// The bits of DR7 that enable a breakpoint, locally or globally (Intel SDM volume 3 §17.2.4).
const ENABLED_BREAKPOINTS: u32 = 0xff;

context!();

/// The registers in a CONTEXT. `_teb` is not needed: FS points at it, and no field has its base.
fn decode(context: &[u8], _teb: u64) -> CpuState {
    let fields = Fields(context);
    // Selectors are 16 bits in fields of 32.
    let selector = |offset| fields.u16(offset);
    let has_floats = fields.u32(FLAGS) & FLOATING_POINT != 0;
    let has_extended = fields.u32(FLAGS) & EXTENDED_REGISTERS != 0;
    CpuState::X86(Box::new(X86State {
        eax: fields.u32(0xb0),
        ebx: fields.u32(0xa4),
        ecx: fields.u32(0xac),
        edx: fields.u32(0xa8),
        esi: fields.u32(0xa0),
        edi: fields.u32(0x9c),
        ebp: fields.u32(0xb4),
        esp: fields.u32(0xc4),
        eip: fields.u32(0xb8),
        eflags: fields.u32(0xc0),
        cs: selector(0xbc),
        ss: selector(0xc8),
        ds: selector(0x98),
        es: selector(0x94),
        fs: selector(0x90),
        gs: selector(0x8c),
        fsave: if has_floats { fields.array::<108>(0x1c).to_vec() } else { Vec::new() },
        xsave: if has_extended { fields.array::<512>(FXSAVE).to_vec() } else { Vec::new() },
        debug: debug_registers(fields),
    }))
}

fn debug_registers(fields: Fields<'_>) -> Option<DebugRegisters> {
    let dr7 = fields.u32(0x18);
    let in_use = fields.u32(FLAGS) & DEBUG_REGISTERS != 0 && dr7 & ENABLED_BREAKPOINTS != 0;
    in_use.then(|| DebugRegisters {
        dr0_3: [0x4, 0x8, 0xc, 0x10].map(|offset| fields.u32(offset).into()),
        dr6: fields.u32(0x14).into(),
        dr7: dr7.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;
    use windows_sys::Win32::System::Diagnostics::Debug::{WOW64_CONTEXT, WOW64_CONTEXT_ALL};

    #[test]
    fn offsets_are_those_of_the_structure() {
        assert_eq!((size_of::<WOW64_CONTEXT>(), ALL), (SIZE, WOW64_CONTEXT_ALL));
        let offsets = [
            (offset_of!(WOW64_CONTEXT, Dr7), 0x18),
            (offset_of!(WOW64_CONTEXT, FloatSave), 0x1c),
            (offset_of!(WOW64_CONTEXT, SegGs), 0x8c),
            (offset_of!(WOW64_CONTEXT, Edi), 0x9c),
            (offset_of!(WOW64_CONTEXT, Eax), 0xb0),
            (offset_of!(WOW64_CONTEXT, Eip), 0xb8),
            (offset_of!(WOW64_CONTEXT, SegSs), 0xc8),
            (offset_of!(WOW64_CONTEXT, ExtendedRegisters), FXSAVE),
        ];
        assert!(offsets.iter().all(|(real, used)| real == used), "{offsets:x?}");
    }

    #[test]
    fn registers_come_from_their_fields() {
        let mut context = vec![0; SIZE];
        context[..4].copy_from_slice(&ALL.to_le_bytes());
        for (index, offset) in (0x8c..0xcc).step_by(4).enumerate() {
            context[offset] = u8::try_from(index + 1).unwrap();
        }
        context[0x1c] = 0x7f;
        context[0xcc] = 0x3f;
        let CpuState::X86(state) = decode(&context, 0) else { panic!("not x86") };
        let segments = [state.gs, state.fs, state.es, state.ds];
        assert_eq!(segments, [1, 2, 3, 4]);
        let general = [state.edi, state.esi, state.ebx, state.edx, state.ecx, state.eax, state.ebp];
        assert_eq!(general, [5, 6, 7, 8, 9, 10, 11]);
        assert_eq!((state.eip, state.cs, state.eflags, state.esp, state.ss), (12, 13, 14, 15, 16));
        assert_eq!((state.fsave.len(), state.fsave[0]), (108, 0x7f));
        assert_eq!((state.xsave.len(), state.xsave[0]), (512, 0x3f));
        assert_eq!(state.debug, None);
    }
}
