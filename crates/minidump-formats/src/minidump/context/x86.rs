use minidump_common::format::{CONTEXT_X86, ContextFlagsX86, FLOATING_SAVE_AREA_X86};
use minidump_snapshot::cpu::X86State;

/// Size in bytes of the FSAVE image (Intel SDM volume 1 §8.1.10), and of what comes before its eight registers.
const FSAVE_SIZE: usize = 108;
const FSAVE_HEAD: usize = 28;

/// The registers as `CONTEXT` of winnt.h for 32-bit x86, 716 bytes: `FloatSave` is the FSAVE image, `ExtendedRegisters`
/// the FXSAVE image. As with x86-64, XSTATE never follows: it is in
/// [`XSAVE_LIST_STREAM`](crate::minidump::XSAVE_LIST_STREAM).
#[must_use]
pub fn context(state: &X86State) -> CONTEXT_X86 {
    let mut context = CONTEXT_X86 {
        context_flags: flags(state).bits(),
        gs: state.gs.into(),
        fs: state.fs.into(),
        es: state.es.into(),
        ds: state.ds.into(),
        edi: state.edi,
        esi: state.esi,
        ebx: state.ebx,
        edx: state.edx,
        ecx: state.ecx,
        eax: state.eax,
        ebp: state.ebp,
        eip: state.eip,
        cs: state.cs.into(),
        eflags: state.eflags,
        esp: state.esp,
        ss: state.ss.into(),
        float_save: float_save(&state.fsave).unwrap_or_default(),
        ..CONTEXT_X86::default()
    };
    if let Some(image) = state.fxsave().and_then(<[u8]>::first_chunk) {
        context.extended_registers = *image;
    }
    if let Some(debug) = state.debug {
        [context.dr0, context.dr1, context.dr2, context.dr3] = debug.dr0_3.map(low_half);
        (context.dr6, context.dr7) = (low_half(debug.dr6), low_half(debug.dr7));
    }
    context
}

/// A context of which only the stack and the instruction pointer mean anything. `None` for addresses that no such
/// program has.
pub(super) fn pointers_only(sp: u64, ip: u64) -> Option<CONTEXT_X86> {
    let context_flags = ContextFlagsX86::CONTEXT_X86_CONTROL.bits();
    let (esp, eip) = (u32::try_from(sp).ok()?, u32::try_from(ip).ok()?);
    Some(CONTEXT_X86 { context_flags, esp, eip, ..CONTEXT_X86::default() })
}

fn flags(state: &X86State) -> ContextFlagsX86 {
    let mut flags = ContextFlagsX86::CONTEXT_X86_FULL;
    if float_save(&state.fsave).is_some() {
        flags |= ContextFlagsX86::CONTEXT_X86_FLOATING_POINT;
    }
    if state.fxsave().is_some() {
        flags |= ContextFlagsX86::CONTEXT_X86_EXTENDED_REGISTERS;
    }
    if state.debug.is_some() {
        flags |= ContextFlagsX86::CONTEXT_X86_DEBUG_REGISTERS;
    }
    flags
}

/// The fields of an FSAVE image. The last one of the structure lies behind it and is not the processor's.
fn float_save(image: &[u8]) -> Option<FLOATING_SAVE_AREA_X86> {
    let (head, registers) = image.get(..FSAVE_SIZE)?.split_at_checked(FSAVE_HEAD)?;
    let mut words = head.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    let mut next = || words.next().unwrap_or(0);
    Some(FLOATING_SAVE_AREA_X86 {
        control_word: next(),
        status_word: next(),
        tag_word: next(),
        error_offset: next(),
        error_selector: next(),
        data_offset: next(),
        data_selector: next(),
        register_area: *registers.first_chunk()?,
        cr0_npx_state: 0,
    })
}

/// Debug registers of a 32-bit program have 32 bits.
fn low_half(register: u64) -> u32 {
    let [b0, b1, b2, b3, ..] = register.to_le_bytes();
    u32::from_le_bytes([b0, b1, b2, b3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use minidump_snapshot::cpu::DebugRegisters;

    #[test]
    fn the_flags_claim_what_is_there() {
        let mut state = X86State::default();
        assert_eq!(context(&state).context_flags, 0x0001_0007);
        state.fsave = vec![0; 107];
        state.xsave = vec![0; 511];
        assert_eq!(context(&state).context_flags, 0x0001_0007);
        state.fsave = vec![0; 108];
        assert_eq!(context(&state).context_flags, 0x0001_000f);
        state.xsave = vec![0; 512];
        assert_eq!(context(&state).context_flags, 0x0001_002f);
        state.debug = Some(DebugRegisters::default());
        assert_eq!(context(&state).context_flags, 0x0001_003f);
        state.xsave = vec![0; 832];
        assert_eq!(context(&state).context_flags, 0x0001_003f, "a plain record even with an XSAVE area");
    }

    #[test]
    fn a_context_of_pointers_is_there_only_for_addresses_of_32_bits() {
        let context = pointers_only(0xffff_fffc, 0x40_1000).unwrap();
        assert_eq!((context.context_flags, context.esp, context.eip), (0x0001_0001, 0xffff_fffc, 0x40_1000));
        assert!(pointers_only(1 << 32, 0).is_none() && pointers_only(0, u64::MAX).is_none());
    }
}
