//! Registers at the crash, and the `CONTEXT` record made of them.

use crate::bytes::{Fields, u32_at};
use core::ffi::c_void;

/// Size in bytes of `CONTEXT` on x86-64 (winnt.h).
pub(crate) const CONTEXT_SIZE: usize = 1232;
/// The same, as descriptors have it.
pub(crate) const CONTEXT_DATA_SIZE: u32 = 1232;

/// Words of `gregs` in `<sys/ucontext.h>` on x86-64.
pub const REGISTER_COUNT: usize = 23;
/// Size in bytes of the FXSAVE image (Intel SDM volume 1 §10.5.1).
pub const FXSAVE_SIZE: usize = 512;

/// Offsets in the kernel's `struct ucontext` (`<asm-generic/ucontext.h>`) of `uc_mcontext` and, in words behind it, of
/// the address of the FXSAVE image.
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
const MCONTEXT: usize = 40;

/// `CONTEXT_AMD64` with control, integer and segment registers; with floating point.
const FLAGS: u32 = 0x0010_0007;
const FLOATING_POINT: u32 = 0x8;
/// `CONTEXT_AMD64` with control registers alone.
const CONTROL: u32 = 0x0010_0001;

/// The crashing thread's registers as raw words.
#[derive(Debug, Clone)]
pub struct Context {
    /// In the order of `gregs` of `<sys/ucontext.h>`: R8 to R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, flags, the
    /// selectors CS, GS, FS and SS in one word, error code, trap number, signal mask, CR2.
    registers: [u64; REGISTER_COUNT],
    fxsave: Option<[u8; FXSAVE_SIZE]>,
}

impl Context {
    /// From registers in the order of `gregs` of `<sys/ucontext.h>`, and the FXSAVE image if there is one.
    #[must_use]
    pub fn new(registers: [u64; REGISTER_COUNT], fxsave: Option<&[u8; FXSAVE_SIZE]>) -> Self {
        Self { registers, fxsave: fxsave.copied() }
    }

    /// From the third argument of a signal handler. `None` where this crate has no back end.
    ///
    /// The floating-point registers are fetched through the kernel, so a bad address of theirs costs nothing but them.
    ///
    /// # Safety
    /// `ucontext` must be the address that the kernel gave to the signal handler, which has not returned yet.
    #[must_use]
    pub unsafe fn from_ucontext(ucontext: *const c_void) -> Option<Self> {
        #[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
        {
            let words = ucontext.wrapping_byte_add(MCONTEXT).cast::<[u64; REGISTER_COUNT + 1]>();
            // SAFETY: the caller's word; the kernel aligns its structure to 8 bytes, and it is longer than this.
            let [registers @ .., image] = unsafe { words.read_unaligned() };
            let mut fxsave = [0; FXSAVE_SIZE];
            let read = crate::sys::read_memory(crate::sys::thread_id(), image, &mut fxsave);
            let fxsave = (read == Ok(FXSAVE_SIZE)).then_some(fxsave);
            Some(Self { registers, fxsave })
        }
        #[cfg(not(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64")))]
        {
            let _ = ucontext;
            None
        }
    }

    /// The stack pointer.
    #[must_use]
    pub fn stack_pointer(&self) -> u64 {
        let [.., sp, _, _, _, _, _, _, _] = self.registers;
        sp
    }

    /// The instruction pointer.
    #[must_use]
    pub fn instruction_pointer(&self) -> u64 {
        let [.., ip, _, _, _, _, _, _] = self.registers;
        ip
    }

    /// `CONTEXT`, little-endian (winnt.h): flags at 48, selectors at 56, RAX at 120, RIP at 248, FXSAVE image at 256.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "four 16-bit selectors share a word; flags are 32 bits"
    )]
    pub(crate) fn encode(&self, fields: &mut Fields<CONTEXT_SIZE>) {
        let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, ..] = self.registers;
        let [.., rdx, rax, rcx, rsp, rip, rflags, selectors, _, _, _, _] = self.registers;
        let [cs, gs, fs, ss] = [0, 16, 32, 48].map(|shift| (selectors >> shift) as u16);
        let (flags, mxcsr) = match &self.fxsave {
            // MXCSR lies at byte 24 of the image (Intel SDM volume 1, table 10-2).
            Some(image) => (FLAGS | FLOATING_POINT, u32_at(image, 24).unwrap_or(0)),
            None => (FLAGS, 0),
        };
        fields.at(48).u32(flags).u32(mxcsr);
        // Linux tells nothing of DS and ES in 64-bit mode: they are zero there.
        for selector in [cs, 0, 0, fs, gs, ss] {
            fields.u16(selector);
        }
        fields.u32(rflags as u32).at(120);
        for register in [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, rip] {
            fields.u64(register);
        }
        if let Some(image) = &self.fxsave {
            fields.bytes(image);
        }
    }
}

/// A `CONTEXT` of which only stack and instruction pointer mean anything, and whose flags say so.
pub(crate) fn pointers_only(fields: &mut Fields<CONTEXT_SIZE>, sp: u64, ip: u64) {
    fields.at(48).u32(CONTROL).at(152).u64(sp).at(248).u64(ip);
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use super::*;
    use minidump_common::format::CONTEXT_AMD64;
    use scroll::Pread;
    use std::mem::offset_of;

    fn decode(encode: impl FnOnce(&mut Fields<CONTEXT_SIZE>)) -> CONTEXT_AMD64 {
        let mut fields = Fields::new();
        encode(&mut fields);
        fields.as_bytes().pread_with(0, scroll::LE).unwrap()
    }

    #[test]
    fn registers_lie_where_the_format_has_them() {
        let registers = std::array::from_fn(|index| 100 + index as u64);
        let image = std::array::from_fn(|index| index.to_le_bytes()[0]);
        let context = Context::new(registers, Some(&image));
        let raw = decode(|fields| context.encode(fields));
        let at = |index: i32| 100 + u64::try_from(index).unwrap();
        assert_eq!((raw.r8, raw.r15), (at(libc::REG_R8), at(libc::REG_R15)));
        assert_eq!(
            (raw.rax, raw.rbx, raw.rcx, raw.rdx),
            (at(libc::REG_RAX), at(libc::REG_RBX), at(libc::REG_RCX), at(libc::REG_RDX))
        );
        assert_eq!((raw.rsi, raw.rdi, raw.rbp), (at(libc::REG_RSI), at(libc::REG_RDI), at(libc::REG_RBP)));
        assert_eq!((raw.rsp, raw.rip), (at(libc::REG_RSP), at(libc::REG_RIP)));
        assert_eq!((context.stack_pointer(), context.instruction_pointer()), (raw.rsp, raw.rip));
        assert_eq!(u64::from(raw.eflags), at(libc::REG_EFL));
        assert_eq!(raw.float_save, image);
        assert_eq!((raw.mx_csr, raw.context_flags), (0x1b1a_1918, 0x0010_000f));
    }

    #[test]
    fn selectors_are_taken_from_their_word() {
        let mut registers = [0; REGISTER_COUNT];
        registers[libc::REG_CSGSFS as usize] = 0x0004_0003_0002_0001;
        let raw = decode(|fields| Context::new(registers, None).encode(fields));
        assert_eq!((raw.cs, raw.gs, raw.fs, raw.ss), (1, 2, 3, 4));
        assert_eq!((raw.ds, raw.es, raw.context_flags), (0, 0, 0x0010_0007));
    }

    #[test]
    fn pointers_alone_claim_nothing_else() {
        let raw = decode(|fields| pointers_only(fields, 7, 9));
        assert_eq!((raw.rsp, raw.rip, raw.context_flags), (7, 9, 0x0010_0001));
    }

    #[test]
    fn the_kernels_structure_is_that_of_the_c_library() {
        assert_eq!(offset_of!(libc::ucontext_t, uc_mcontext), MCONTEXT);
        assert_eq!(offset_of!(libc::mcontext_t, fpregs), REGISTER_COUNT * 8);
    }
}
