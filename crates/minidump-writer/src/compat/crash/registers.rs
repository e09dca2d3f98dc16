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
#[expect(clippy::cast_possible_truncation, reason = "four 16-bit selectors share a word")]
pub(super) fn cpu_state(context: &CrashContext) -> (CpuState, Trap) {
    // Order of gregs in <sys/ucontext.h> (REG_R8 to REG_CR2), the same in <asm/sigcontext.h>. The last but one is the
    // signal mask, which is no register.
    let registers = context.context.uc_mcontext.gregs.map(i64::cast_unsigned);
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
        xsave: fxsave(&context.float_state),
        ..Amd64State::default()
    };
    (CpuState::Amd64(Box::new(state)), Trap { number, error, cr2 })
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
