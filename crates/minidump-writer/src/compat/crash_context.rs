//! What a crash handler recorded at the crash.
//!
//! The names of the published [`crash-context`](https://docs.rs/crash-context) crate are here too, with one exception:
//! [`CrashContext`] is the wrapper of the documented API. The crate's own type of that name is
//! [`raw::CrashContext`].

pub use ::crash_context as raw;
pub use ::crash_context::*;

use super::crash::from_crash_context;
use super::format_names::minidump_cpu::RawContextCPU;
use crate::snapshot::CpuState;
use std::fmt;

/// A crash context, in the wrapper that [`MinidumpWriter`](crate::minidump_writer::MinidumpWriter) takes.
#[derive(Clone)]
pub struct CrashContext {
    /// The context as the crash handler made it.
    pub inner: raw::CrashContext,
}

impl CrashContext {
    /// The instruction pointer at the crash.
    #[must_use]
    pub fn get_instruction_pointer(&self) -> usize {
        self.register(libc::REG_RIP)
    }

    /// The stack pointer at the crash.
    #[must_use]
    pub fn get_stack_pointer(&self) -> usize {
        self.register(libc::REG_RSP)
    }

    /// Puts the registers at the crash into `out`, whatever it held before.
    pub fn fill_cpu_context(&self, out: &mut RawContextCPU) {
        if let Some(CpuState::Amd64(state)) = from_crash_context(&self.inner).cpu {
            *out = crate::formats::minidump::amd64_context(&state);
        }
    }

    fn register(&self, index: libc::c_int) -> usize {
        let registers = &self.inner.context.uc_mcontext.gregs;
        let value = usize::try_from(index).ok().and_then(|index| registers.get(index));
        value.and_then(|value| usize::try_from(value.cast_unsigned()).ok()).unwrap_or(0)
    }
}

impl From<raw::CrashContext> for CrashContext {
    fn from(inner: raw::CrashContext) -> Self {
        Self { inner }
    }
}

impl fmt::Debug for CrashContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashContext")
            .field("pid", &self.inner.pid)
            .field("tid", &self.inner.tid)
            .field("signal", &self.inner.siginfo.ssi_signo)
            .field("code", &self.inner.siginfo.ssi_code)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_has_the_registers_and_the_float_state_of_the_crash() {
        let mut inner = raw::CrashContext::from_bytes(&vec![0; size_of::<raw::CrashContext>()])
            .expect("of the right size");
        // Index of <sys/ucontext.h>: RBX is 11.
        inner.context.uc_mcontext.gregs[11] = 0x1122_3344_5566_7788;
        inner.context.uc_mcontext.gregs[16] = 0x40_1234;
        inner.float_state.mxcsr = 0x1f80;
        inner.float_state.xmm_space[4] = 0xaabb_ccdd;
        let mut out = RawContextCPU { rax: 5, ..RawContextCPU::default() };
        CrashContext::from(inner).fill_cpu_context(&mut out);
        assert_eq!((out.rax, out.rbx, out.rip), (0, 0x1122_3344_5566_7788, 0x40_1234));
        assert_eq!(out.mx_csr, 0x1f80);
        // XMM1 lies 176 bytes into the FXSAVE image.
        assert_eq!(out.float_save[176..180], [0xdd, 0xcc, 0xbb, 0xaa]);
        // CONTEXT_AMD64 with control, integer, segments and floating point.
        assert_eq!(out.context_flags & 0x0010_000f, 0x0010_000f);
    }

    #[test]
    fn pointers_are_those_of_the_crash() {
        let mut inner = raw::CrashContext::from_bytes(&vec![0; size_of::<raw::CrashContext>()])
            .expect("of the right size");
        // Indices of <sys/ucontext.h>: RSP is 15, RIP is 16.
        inner.context.uc_mcontext.gregs[15] = 0x7fff_ffff_e000;
        inner.context.uc_mcontext.gregs[16] = -4096;
        let context = CrashContext::from(inner);
        assert_eq!(context.get_stack_pointer(), 0x7fff_ffff_e000);
        assert_eq!(context.get_instruction_pointer(), 0xffff_ffff_ffff_f000);
    }
}
