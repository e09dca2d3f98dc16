use super::DebugRegisters;
use serde::{Deserialize, Serialize};

/// Registers of a 32-bit x86 thread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "registers carry their architectural names")]
pub struct X86State {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
    pub esi: u32,
    pub edi: u32,
    pub ebp: u32,
    pub esp: u32,
    pub eip: u32,
    pub eflags: u32,
    pub cs: u16,
    pub ss: u16,
    pub ds: u16,
    pub es: u16,
    pub fs: u16,
    pub gs: u16,
    /// The FSAVE image in its 32-bit protected-mode form, 108 bytes (Intel SDM volume 1 §8.1.10); empty when it could not
    /// be read.
    pub fsave: Vec<u8>,
    /// The XSAVE area as [`Amd64State::xsave`](super::Amd64State::xsave) has it: the FXSAVE image, 512 bytes, then the
    /// header and the components where the processor has them.
    pub xsave: Vec<u8>,
    /// Debug registers, when in use.
    pub debug: Option<DebugRegisters>,
}

impl X86State {
    /// The registers that may hold a pointer to data, the likeliest first, and zeros up to the number that every
    /// architecture has.
    #[must_use]
    pub fn data_pointers(&self) -> [u64; 17] {
        let mut pointers = [0; 17];
        let registers = [self.ecx, self.edx, self.eax, self.esi, self.edi, self.ebx, self.ebp];
        for (slot, register) in pointers.iter_mut().zip(registers) {
            *slot = u64::from(register);
        }
        pointers
    }

    /// The FXSAVE image (x87, MMX, SSE), if captured.
    #[must_use]
    pub fn fxsave(&self) -> Option<&[u8]> {
        self.xsave.get(..512)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_argument_registers_come_first_and_the_stack_pointer_not_at_all() {
        let state = X86State {
            ecx: 1,
            edx: 2,
            eax: 3,
            esi: 4,
            edi: 5,
            ebx: 6,
            ebp: 7,
            esp: 8,
            ..X86State::default()
        };
        assert_eq!(state.data_pointers(), [1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
