//! The registers of a thread.

use windows_sys::Win32::System::Diagnostics::Debug::{CONTEXT, RtlCaptureContext};

#[cfg(target_arch = "x86_64")]
use windows_sys::Win32::System::Diagnostics::Debug::CONTEXT_ALL_AMD64 as CONTEXT_ALL;
#[cfg(target_arch = "aarch64")]
use windows_sys::Win32::System::Diagnostics::Debug::CONTEXT_ALL_ARM64 as CONTEXT_ALL;
#[cfg(target_arch = "x86")]
use windows_sys::Win32::System::Diagnostics::Debug::CONTEXT_ALL_X86 as CONTEXT_ALL;

/// A `CONTEXT`, aligned as the system wants it.
///
/// Source: `DECLSPEC_ALIGN(16)` of the structure in <winnt.h>, which its Rust definition goes without.
#[repr(C, align(16))]
pub struct Context(pub CONTEXT);

impl Context {
    /// Room for all registers but those of XSAVE, and the flags that ask for them.
    pub fn boxed() -> Box<Self> {
        let mut context = Box::new(Self(CONTEXT::default()));
        context.0.ContextFlags = CONTEXT_ALL;
        context
    }

    /// Where the thread is.
    pub fn instruction_pointer(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        let pointer = self.0.Rip;
        #[cfg(target_arch = "x86")]
        let pointer = self.0.Eip;
        #[cfg(target_arch = "aarch64")]
        let pointer = self.0.Pc;
        usize::try_from(pointer).unwrap_or(usize::MAX)
    }
}

/// Calls `work` with the registers that the calling thread has here. The frame that they belong to stays on the stack for as
/// long as `work` runs, so that a dump made there has it.
#[inline(never)]
pub fn with_own<R, F: FnOnce(Box<Context>) -> R>(work: F) -> R {
    let mut context = Context::boxed();
    // SAFETY: fills the structure, which is whole and aligned.
    unsafe { RtlCaptureContext(&raw mut context.0) };
    // What comes after the call keeps the compiler from giving the frame away with it.
    std::hint::black_box(work(context))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instruction pointer, stack pointer, and a place in the frame of what is called with them.
    #[cfg(target_arch = "x86_64")]
    fn pointers(context: Box<Context>) -> [usize; 3] {
        let registers = &context.0;
        assert_eq!(&raw const *registers as usize % 16, 0);
        let stack = usize::try_from(registers.Rsp).unwrap();
        [context.instruction_pointer(), stack, &raw const context as usize]
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_own_registers_are_those_of_a_frame_that_is_still_there() {
        type Work = fn(Box<Context>) -> [usize; 3];
        let here = 0_u8;
        let [ip, sp, inner] = with_own::<_, Work>(pointers);
        let code = with_own::<[usize; 3], Work> as *const () as usize;
        assert!((code..code + 0x400).contains(&ip), "{ip:#x} is not in the function at {code:#x}");
        let outer = &raw const here as usize;
        assert!((inner..outer).contains(&sp), "{sp:#x} is not between {inner:#x} and {outer:#x}");
    }
}
