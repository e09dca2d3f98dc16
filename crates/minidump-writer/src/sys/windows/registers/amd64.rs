//! CONTEXT of x86-64 (winnt.h).

use super::context::context;
use super::fields::Fields;
use crate::snapshot::CpuState;
use crate::snapshot::cpu::{Amd64State, DebugRegisters};

/// Size of the structure in bytes.
const SIZE: usize = 0x4d0;
/// Where `ContextFlags` lies.
const FLAGS: usize = 0x30;
/// `CONTEXT_ALL`: control, integer, segments, floating point, debug registers.
const ALL: u32 = 0x0010_001f;
/// `CONTEXT_FLOATING_POINT` and `CONTEXT_DEBUG_REGISTERS` without the bit of the processor.
const FLOATING_POINT: u32 = 0x8;
const DEBUG_REGISTERS: u32 = 0x10;
/// Where `FltSave` lies, the FXSAVE image.
pub const FXSAVE: usize = 0x100;

/// The bits of DR7 that enable a breakpoint, locally or globally (Intel SDM volume 3 §17.2.4).
const ENABLED_BREAKPOINTS: u64 = 0xff;

context!();

/// The registers in a CONTEXT. `teb` is the environment block of the thread, which GS points at.
fn decode(context: &[u8], teb: u64) -> CpuState {
    let fields = Fields(context);
    let has_floats = fields.u32(FLAGS) & FLOATING_POINT != 0;
    CpuState::Amd64(Box::new(Amd64State {
        rax: fields.u64(0x78),
        rcx: fields.u64(0x80),
        rdx: fields.u64(0x88),
        rbx: fields.u64(0x90),
        rsp: fields.u64(0x98),
        rbp: fields.u64(0xa0),
        rsi: fields.u64(0xa8),
        rdi: fields.u64(0xb0),
        r8: fields.u64(0xb8),
        r9: fields.u64(0xc0),
        r10: fields.u64(0xc8),
        r11: fields.u64(0xd0),
        r12: fields.u64(0xd8),
        r13: fields.u64(0xe0),
        r14: fields.u64(0xe8),
        r15: fields.u64(0xf0),
        rip: fields.u64(0xf8),
        rflags: fields.u32(0x44).into(),
        cs: fields.u16(0x38),
        ds: fields.u16(0x3a),
        es: fields.u16(0x3c),
        fs: fields.u16(0x3e),
        gs: fields.u16(0x40),
        ss: fields.u16(0x42),
        fs_base: 0,
        gs_base: teb,
        orig_rax: u64::MAX,
        xsave: if has_floats { fields.array::<512>(FXSAVE).to_vec() } else { Vec::new() },
        debug: debug_registers(fields),
    }))
}

fn debug_registers(fields: Fields<'_>) -> Option<DebugRegisters> {
    let dr7 = fields.u64(0x70);
    let in_use = fields.u32(FLAGS) & DEBUG_REGISTERS != 0 && dr7 & ENABLED_BREAKPOINTS != 0;
    in_use.then(|| DebugRegisters {
        dr0_3: [0x48, 0x50, 0x58, 0x60].map(|offset| fields.u64(offset)),
        dr6: fields.u64(0x68),
        dr7,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;
    use windows_sys::Win32::System::Diagnostics::Debug::{CONTEXT, CONTEXT_ALL_AMD64};

    #[test]
    fn offsets_are_those_of_the_structure() {
        assert_eq!((size_of::<CONTEXT>(), ALL), (SIZE, CONTEXT_ALL_AMD64));
        assert_eq!(offset_of!(CONTEXT, ContextFlags), FLAGS);
        assert_eq!(offset_of!(CONTEXT, Anonymous), FXSAVE);
        let offsets = [
            (offset_of!(CONTEXT, Rax), 0x78),
            (offset_of!(CONTEXT, Rsp), 0x98),
            (offset_of!(CONTEXT, R15), 0xf0),
            (offset_of!(CONTEXT, Rip), 0xf8),
            (offset_of!(CONTEXT, EFlags), 0x44),
            (offset_of!(CONTEXT, SegCs), 0x38),
            (offset_of!(CONTEXT, SegSs), 0x42),
            (offset_of!(CONTEXT, Dr7), 0x70),
        ];
        assert!(offsets.iter().all(|(real, used)| real == used), "{offsets:x?}");
    }

    #[test]
    fn debug_registers_are_told_only_when_a_breakpoint_is_on() {
        let mut context = vec![0; SIZE];
        context[FLAGS..FLAGS + 4].copy_from_slice(&ALL.to_le_bytes());
        context[0x48..0x50].copy_from_slice(&0x1234_u64.to_le_bytes());
        let debug = |context: &[u8]| match decode(context, 0) {
            CpuState::Amd64(state) => state.debug,
            _ => None,
        };
        assert_eq!(debug(&context), None);
        context[0x70] = 1;
        let found = debug(&context).unwrap();
        assert_eq!((found.dr0_3, found.dr7), ([0x1234, 0, 0, 0], 1));
    }
}
