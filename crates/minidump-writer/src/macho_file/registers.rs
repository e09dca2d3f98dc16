//! What an `LC_THREAD` holds (<mach/arm/_structs.h>, <mach/i386/_structs.h>), as foreign input.

use crate::convert::words::{u16_at, u32_at, u64_at};
use crate::snapshot::cpu::{Amd64State, Arm64State, Arm64Vector};
use crate::snapshot::{CpuState, FaultState};
use minidump_formats::apple_record::CommandThread;

/// Size in bytes of the FXSAVE image.
const FXSAVE_SIZE: usize = 512;

/// Processors whose registers can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    Amd64,
    Arm64,
}

impl Processor {
    /// That of a `cputype`.
    pub fn of(cpu_type: u32) -> Option<Self> {
        match cpu_type {
            0x0100_0007 => Some(Self::Amd64),
            0x0100_000c => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Reads the sets of registers: flavor, size in 32-bit words, registers. Sets of unknown flavors are passed over.
    pub fn thread(self, mut sets: &[u8]) -> CommandThread {
        let mut thread = CommandThread::default();
        let (mut vector, mut image) = (None, None);
        while let Some((flavor, words)) = u32_at(sets, 0).zip(u32_at(sets, 4)) {
            let size = usize::try_from(words).ok().and_then(|words| words.checked_mul(4));
            let rest = sets.get(8..).unwrap_or_default();
            let Some((set, rest)) = size.and_then(|size| rest.split_at_checked(size)) else { break };
            match (self, flavor) {
                (Self::Arm64, 6) => thread.cpu = arm64(set).map(|state| CpuState::Arm64(Box::new(state))),
                (Self::Arm64, 7) => thread.fault = arm64_fault(set),
                (Self::Arm64, 17) => vector = arm64_vector(set),
                (Self::Amd64, 4) => thread.cpu = amd64(set).map(|state| CpuState::Amd64(Box::new(state))),
                (Self::Amd64, 5) => image = set.get(8..8 + FXSAVE_SIZE).map(<[u8]>::to_vec),
                (Self::Amd64, 6) => thread.fault = amd64_fault(set),
                _ => {}
            }
            sets = rest;
        }
        match &mut thread.cpu {
            Some(CpuState::Arm64(state)) => state.vector = vector.map(Box::new),
            Some(CpuState::Amd64(state)) => state.xsave = image.unwrap_or_default(),
            _ => {}
        }
        thread
    }
}

/// The word at index `index`.
fn word(set: &[u8], index: usize) -> Option<u64> {
    u64_at(set, index * 8)
}

fn arm64(set: &[u8]) -> Option<Arm64State> {
    let mut x = [0; 29];
    for (index, register) in x.iter_mut().enumerate() {
        *register = word(set, index)?;
    }
    Some(Arm64State {
        x,
        fp: word(set, 29)?,
        lr: word(set, 30)?,
        sp: word(set, 31)?,
        pc: word(set, 32)?,
        cpsr: u32_at(set, 33 * 8)?,
        vector: None,
    })
}

fn arm64_fault(set: &[u8]) -> Option<FaultState> {
    let (address, syndrome) = (u64_at(set, 0)?, u32_at(set, 8)?);
    Some(FaultState { address, syndrome, number: u32_at(set, 12)?, cpu: 0 })
}

fn arm64_vector(set: &[u8]) -> Option<Arm64Vector> {
    let mut vector = Arm64Vector::default();
    let (registers, _) = set.as_chunks::<16>();
    for (register, bytes) in vector.v.iter_mut().zip(registers) {
        *register = *bytes;
    }
    (vector.fpsr, vector.fpcr) = (u32_at(set, 512)?, u32_at(set, 516)?);
    Some(vector)
}

fn amd64(set: &[u8]) -> Option<Amd64State> {
    // Selectors have 16 bits; the fields have more.
    let selector = |index: usize| u16_at(set, index * 8);
    Some(Amd64State {
        rax: word(set, 0)?,
        rbx: word(set, 1)?,
        rcx: word(set, 2)?,
        rdx: word(set, 3)?,
        rdi: word(set, 4)?,
        rsi: word(set, 5)?,
        rbp: word(set, 6)?,
        rsp: word(set, 7)?,
        r8: word(set, 8)?,
        r9: word(set, 9)?,
        r10: word(set, 10)?,
        r11: word(set, 11)?,
        r12: word(set, 12)?,
        r13: word(set, 13)?,
        r14: word(set, 14)?,
        r15: word(set, 15)?,
        rip: word(set, 16)?,
        rflags: word(set, 17)?,
        cs: selector(18)?,
        fs: selector(19)?,
        gs: selector(20)?,
        // The kernel of Apple's systems does not tell it.
        orig_rax: u64::MAX,
        ..Amd64State::default()
    })
}

fn amd64_fault(set: &[u8]) -> Option<FaultState> {
    Some(FaultState {
        address: u64_at(set, 8)?,
        syndrome: u32_at(set, 4)?,
        number: u16_at(set, 0)?.into(),
        cpu: u16_at(set, 2)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_sets_are_passed_over_and_cut_ones_end_the_list() {
        let set = |flavor: u32, words: u32, size: usize| -> Vec<u8> {
            [flavor.to_le_bytes().to_vec(), words.to_le_bytes().to_vec(), vec![1; size]].concat()
        };
        let whole = [set(99, 2, 8), set(6, 68, 272), set(7, 4, 16)].concat();
        let thread = Processor::Arm64.thread(&whole);
        assert_eq!(thread.cpu.unwrap().instruction_pointer(), 0x0101_0101_0101_0101);
        assert_eq!(thread.fault.unwrap().syndrome, 0x0101_0101);
        let cut = Processor::Arm64.thread(&[set(6, 68, 272), set(7, u32::MAX, 16)].concat());
        assert!(cut.cpu.is_some() && cut.fault.is_none());
        assert_eq!(Processor::Arm64.thread(&set(6, 66, 264)), CommandThread::default());
        assert_eq!(Processor::Amd64.thread(&set(6, 1, 4)), CommandThread::default());
        assert_eq!(Processor::Amd64.thread(&[1, 2, 3]), CommandThread::default());
    }
}
