use crate::snapshot::CpuState;
use crate::snapshot::cpu::Amd64State;
use ::crash_context::{CrashContext, fpregset_t};

/// Size in bytes of the FXSAVE image (Intel SDM volume 1 §10.5.1).
const FXSAVE_SIZE: usize = 512;

/// What the processor said about its last exception.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Trap {
    /// Number of the exception.
    pub number: u64,
    /// Its error code.
    pub error: u64,
    /// Address of the last page fault.
    pub cr2: u64,
}

/// The registers of the interrupted code.
pub(super) fn cpu_state(context: &CrashContext) -> (CpuState, Trap) {
    let registers = context.context.uc_mcontext.gregs.map(i64::cast_unsigned);
    of_words(registers, fxsave(&context.float_state))
}

/// The same of `registers` in the order of gregs in <sys/ucontext.h> (REG_R8 to REG_CR2), which is that of
/// <asm/sigcontext.h>. The last but one is the signal mask, which is no register.
#[expect(clippy::cast_possible_truncation, reason = "four 16-bit selectors share a word")]
pub(super) fn of_words(registers: [u64; 23], xsave: Vec<u8>) -> (CpuState, Trap) {
    let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, ..] = registers;
    let [.., rdx, rax, rcx, rsp, rip, rflags, csgsfs, error, number, _, cr2] = registers;
    let state = Amd64State {
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rbp,
        rsp,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rip,
        rflags,
        cs: csgsfs as u16,
        gs: (csgsfs >> 16) as u16,
        fs: (csgsfs >> 32) as u16,
        ss: (csgsfs >> 48) as u16,
        // A signal interrupts no system call: one that it ended has returned, and one to be restarted is entered anew.
        orig_rax: u64::MAX,
        xsave,
        ..Amd64State::default()
    };
    (CpuState::Amd64(Box::new(state)), Trap { number, error, cr2 })
}

/// In a signal frame the kernel uses part of the image's reserved bytes for notes of its own (`struct _fpx_sw_bytes` in
/// <asm/sigcontext.h>: magic number at 464, features at 472). Where ptrace(2) hands the image out, and so in cores, the
/// features are at 464 and the rest is zero.
pub(super) fn as_ptrace_tells(image: &mut [u8]) {
    const MAGIC: [u8; 4] = 0x4650_5853_u32.to_le_bytes();
    let Some(notes) = image.get_mut(464..FXSAVE_SIZE) else { return };
    let features: [u8; 8] = std::array::from_fn(|index| notes.get(8 + index).copied().unwrap_or(0));
    if notes.starts_with(&MAGIC) {
        notes.fill(0);
        notes.iter_mut().zip(features).for_each(|(to, from)| *to = from);
    }
}

/// The FXSAVE image; empty when the handler recorded none, for a real one has bits set in MXCSR and the control word.
fn fxsave(state: &fpregset_t) -> Vec<u8> {
    let mut image = Vec::with_capacity(FXSAVE_SIZE);
    for half in [state.cwd, state.swd, state.ftw, state.fop] {
        image.extend_from_slice(&half.to_le_bytes());
    }
    image.extend_from_slice(&state.rip.to_le_bytes());
    image.extend_from_slice(&state.rdp.to_le_bytes());
    let words = [state.mxcsr, state.mxcr_mask];
    for word in words.iter().chain(&state.st_space).chain(&state.xmm_space) {
        image.extend_from_slice(&word.to_le_bytes());
    }
    if image.iter().all(|byte| *byte == 0) {
        return Vec::new();
    }
    // The rest is reserved by the processor and used by the kernel for its own notes.
    image.resize(FXSAVE_SIZE, 0);
    image
}
