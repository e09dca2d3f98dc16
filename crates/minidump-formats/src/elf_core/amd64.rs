//! Register sets of x86-64.

use super::fields::Fields;
use minidump_snapshot::XsaveComponent;
use minidump_snapshot::cpu::Amd64State;

/// `EM_X86_64`
pub(crate) const MACHINE: u16 = 62;

/// Size in bytes of the FXSAVE image (Intel SDM volume 1 §10.5.1).
const FXSAVE_SIZE: usize = 512;
/// Where the components behind FXSAVE image and header begin (§13.4).
const XSAVE_HEADER_END: usize = 576;
/// Where Linux tells XCR0, in bytes of the FXSAVE image that the processor leaves to software (<asm/user.h>
/// `USER_XSTATE_XCR0_WORD`, <asm/ptrace.h>).
const XCR0_OFFSET: usize = 464;
/// x87 and SSE, which every processor has.
const LEGACY_COMPONENTS: u64 = 3;

/// `struct user_regs_struct` of <sys/user.h>: 27 words.
pub(crate) fn general(state: &Amd64State) -> [u64; 27] {
    [
        state.r15,
        state.r14,
        state.r13,
        state.r12,
        state.rbp,
        state.rbx,
        state.r11,
        state.r10,
        state.r9,
        state.r8,
        state.rax,
        state.rcx,
        state.rdx,
        state.rsi,
        state.rdi,
        state.orig_rax,
        state.rip,
        state.cs.into(),
        state.rflags,
        state.rsp,
        state.ss.into(),
        state.fs_base,
        state.gs_base,
        state.ds.into(),
        state.es.into(),
        state.fs.into(),
        state.gs.into(),
    ]
}

/// The same for a thread of which only two registers are known.
pub(crate) fn pointers_only(sp: u64, ip: u64) -> [u64; 27] {
    general(&Amd64State { rsp: sp, rip: ip, orig_rax: u64::MAX, ..Amd64State::default() })
}

/// `struct user_fpregs_struct`: the FXSAVE image.
pub(crate) fn floating_point(state: &Amd64State) -> Option<&[u8]> {
    state.fxsave()
}

/// The XSAVE area as `PTRACE_GETREGSET` with `NT_X86_XSTATE` gives it: standard format with all components that the
/// kernel has enabled, those not in use as zeros, and XCR0 at offset 464, from which debuggers know the components.
/// `None` for a thread of which no more than the FXSAVE image is known.
pub(crate) fn extended(state: &Amd64State, components: &[XsaveComponent]) -> Option<Vec<u8>> {
    let size = extended_size(state, components)?;
    let area = Fields::with_capacity(size).bytes(&state.xsave).zeros_to(size);
    let mut area = area.finish();
    if let Some(word) = area.get_mut(XCR0_OFFSET..XCR0_OFFSET + 8)
        && word.iter().all(|byte| *byte == 0)
    {
        word.copy_from_slice(&enabled(components).to_le_bytes());
    }
    Some(area)
}

/// Size in bytes of [`extended`].
pub(crate) fn extended_size(state: &Amd64State, components: &[XsaveComponent]) -> Option<usize> {
    let known = Some(state.xsave.len()).filter(|size| *size >= XSAVE_HEADER_END)?;
    let end =
        |part: &XsaveComponent| part.offset.checked_add(part.size).and_then(|end| usize::try_from(end).ok());
    let enabled = components.iter().filter_map(end).filter(|end| *end <= LARGEST).max().unwrap_or(0);
    Some(known.max(enabled))
}

/// `NT_X86_XSAVE_LAYOUT`: where the components lie, which XCR0 does not tell, as AMD and Intel put them in different
/// places. For each, number, size, offset and flags as 32-bit words (<asm/elf.h> `struct x86_xfeat_component`). The
/// flags, of which a capture knows nothing, mean nothing for areas in standard format. `None` without components.
pub(crate) fn layout(components: &[XsaveComponent]) -> Option<Vec<u8>> {
    let entry = |fields: Fields, part: &XsaveComponent| {
        fields.u32(part.index.into()).u32(part.size).u32(part.offset).u32(0)
    };
    let fields = components.iter().fold(Fields::default(), entry);
    (!components.is_empty()).then(|| fields.finish())
}

/// No processor's area comes near this. It bounds what a bad list of components costs.
const LARGEST: usize = 64 << 10;

/// XCR0.
fn enabled(components: &[XsaveComponent]) -> u64 {
    let bits = components.iter().filter_map(|part| 1_u64.checked_shl(part.index.into()));
    bits.fold(LEGACY_COMPONENTS, |all, bit| all | bit)
}

const _: () = assert!(FXSAVE_SIZE + 64 == XSAVE_HEADER_END && XCR0_OFFSET + 48 == FXSAVE_SIZE);
