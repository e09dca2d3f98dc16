use serde::{Deserialize, Serialize};

/// Debug registers. Captured only when DR7 enables at least one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebugRegisters {
    /// Breakpoint addresses DR0 to DR3.
    pub dr0_3: [u64; 4],
    /// Status.
    pub dr6: u64,
    /// Control.
    pub dr7: u64,
}

/// Registers of an x86-64 thread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "registers carry their architectural names")]
pub struct Amd64State {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub cs: u16,
    pub ss: u16,
    pub ds: u16,
    pub es: u16,
    pub fs: u16,
    pub gs: u16,
    pub fs_base: u64,
    pub gs_base: u64,
    /// RAX at system-call entry; `u64::MAX` outside a system call.
    pub orig_rax: u64,
    /// The XSAVE area in standard format: 512 bytes of FXSAVE image, 64 bytes of header (`XSTATE_BV` first), then the
    /// components at the offsets of [`XsaveComponent`](crate::XsaveComponent). Cut behind the last component that is
    /// in use, so its length differs between threads. Only the FXSAVE image when the processor has no XSAVE; empty
    /// when it could not be read.
    pub xsave: Vec<u8>,
    /// Debug registers, when in use.
    pub debug: Option<DebugRegisters>,
}

impl Amd64State {
    /// The registers that may hold a pointer to data, the likeliest first: not the stack pointer, which always points
    /// at memory that a dump holds, and not the instruction pointer.
    #[must_use]
    pub fn data_pointers(&self) -> [u64; 17] {
        [
            self.rdi,
            self.rsi,
            self.rax,
            self.rcx,
            self.rdx,
            self.rbx,
            self.rbp,
            self.r8,
            self.r9,
            self.r10,
            self.r11,
            self.r12,
            self.r13,
            self.r14,
            self.r15,
            self.fs_base,
            self.gs_base,
        ]
    }

    /// The FXSAVE image (x87, MMX, SSE), if captured.
    #[must_use]
    pub fn fxsave(&self) -> Option<&[u8]> {
        self.xsave.get(..512)
    }

    /// `XSTATE_BV`: the components of the XSAVE area that are not in their initial state. `None` without XSAVE header.
    #[must_use]
    pub fn xstate_bv(&self) -> Option<u64> {
        self.xsave.get(512..520)?.try_into().ok().map(u64::from_le_bytes)
    }
}
