use minidump_common::format::{CONTEXT_AMD64, ContextFlagsAmd64};
use minidump_snapshot::cpu::Amd64State;

/// Size in bytes of the FXSAVE image (Intel SDM volume 1 §10.5.1).
const FXSAVE_SIZE: usize = 512;

/// The registers as `CONTEXT` of winnt.h, 1232 bytes.
///
/// The record never carries XSTATE behind its end, and its flags never say so: the Breakpad processor knows an x86-64
/// context by the very size of 1232 bytes and drops any other. What XSAVE holds beyond the FXSAVE image is in
/// [`XSAVE_LIST_STREAM`](crate::minidump::XSAVE_LIST_STREAM).
#[must_use]
pub fn context(state: &Amd64State) -> CONTEXT_AMD64 {
    let mut context = CONTEXT_AMD64 {
        context_flags: flags(state).bits(),
        cs: state.cs,
        ds: state.ds,
        es: state.es,
        fs: state.fs,
        gs: state.gs,
        ss: state.ss,
        eflags: low_half(state.rflags),
        rax: state.rax,
        rcx: state.rcx,
        rdx: state.rdx,
        rbx: state.rbx,
        rsp: state.rsp,
        rbp: state.rbp,
        rsi: state.rsi,
        rdi: state.rdi,
        r8: state.r8,
        r9: state.r9,
        r10: state.r10,
        r11: state.r11,
        r12: state.r12,
        r13: state.r13,
        r14: state.r14,
        r15: state.r15,
        rip: state.rip,
        ..CONTEXT_AMD64::default()
    };
    if let Some(image) = fxsave(state) {
        context.float_save = *image;
        context.mx_csr = mxcsr(image);
    }
    if let Some(debug) = state.debug {
        [context.dr0, context.dr1, context.dr2, context.dr3] = debug.dr0_3;
        context.dr6 = debug.dr6;
        context.dr7 = debug.dr7;
    }
    context
}

/// A context of which only the stack and the instruction pointer mean anything.
pub(super) fn pointers_only(sp: u64, ip: u64) -> CONTEXT_AMD64 {
    let context_flags = ContextFlagsAmd64::CONTEXT_AMD64_CONTROL.bits();
    CONTEXT_AMD64 { context_flags, rsp: sp, rip: ip, ..CONTEXT_AMD64::default() }
}

fn flags(state: &Amd64State) -> ContextFlagsAmd64 {
    let mut flags = ContextFlagsAmd64::CONTEXT_AMD64_CONTROL
        | ContextFlagsAmd64::CONTEXT_AMD64_INTEGER
        | ContextFlagsAmd64::CONTEXT_AMD64_SEGMENTS;
    if fxsave(state).is_some() {
        flags |= ContextFlagsAmd64::CONTEXT_AMD64_FLOATING_POINT;
    }
    if state.debug.is_some() {
        flags |= ContextFlagsAmd64::CONTEXT_AMD64_DEBUG_REGISTERS;
    }
    flags
}

fn fxsave(state: &Amd64State) -> Option<&[u8; FXSAVE_SIZE]> {
    state.fxsave()?.first_chunk()
}

/// MXCSR lies at byte 24 of the FXSAVE image (Intel SDM volume 1, table 10-2).
fn mxcsr(image: &[u8; FXSAVE_SIZE]) -> u32 {
    let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, b0, b1, b2, b3, ..] = *image;
    u32::from_le_bytes([b0, b1, b2, b3])
}

/// The upper half of RFLAGS is reserved (Intel SDM volume 1 §3.4.3) and has no field.
fn low_half(rflags: u64) -> u32 {
    let [b0, b1, b2, b3, ..] = rflags.to_le_bytes();
    u32::from_le_bytes([b0, b1, b2, b3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use minidump_snapshot::cpu::DebugRegisters;

    #[test]
    fn the_flags_claim_what_is_there() {
        let mut state = Amd64State::default();
        assert_eq!(context(&state).context_flags, 0x0010_0007);
        state.xsave = vec![0; 511];
        assert_eq!(context(&state).context_flags, 0x0010_0007);
        state.xsave = vec![0; 512];
        assert_eq!(context(&state).context_flags, 0x0010_000f);
        state.debug = Some(DebugRegisters::default());
        assert_eq!(context(&state).context_flags, 0x0010_001f);
        state.xsave = vec![0; 2696];
        assert_eq!(context(&state).context_flags, 0x0010_001f, "a plain record even with an XSAVE area");
        assert_eq!(pointers_only(1, 2).context_flags, 0x0010_0001);
    }

    #[test]
    fn mxcsr_is_taken_from_the_fxsave_image() {
        let mut xsave = vec![0xff; 832];
        xsave[24..28].copy_from_slice(&[0x80, 0x1f, 0, 0]);
        let state = Amd64State { xsave, ..Amd64State::default() };
        assert_eq!(context(&state).mx_csr, 0x1f80);
    }
}
