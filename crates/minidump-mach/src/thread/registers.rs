//! Registers from the words of `thread_get_state` (mach/arm/_structs.h, mach/i386/_structs.h).

use crate::arch::Arch;
use crate::bytes::{array_at, bytes_of, pair};
use minidump_snapshot::cpu::{Amd64State, Arm64State, Arm64Vector};
use minidump_snapshot::{CpuState, FaultState};

/// The flavors of an architecture: number and count of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuFlavors {
    pub general: (u32, usize),
    pub float: (u32, usize),
    pub fault: (u32, usize),
}

/// Which flavors there are.
pub fn cpu_flavors(arch: Arch) -> CpuFlavors {
    match arch {
        Arch::Arm64 => CpuFlavors { general: (6, 68), float: (17, 132), fault: (7, 4) },
        Arch::Amd64 => CpuFlavors { general: (4, 42), float: (5, 131), fault: (6, 4) },
    }
}

/// What is known of a thread's registers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registers {
    pub cpu: Option<CpuState>,
    pub fault: Option<FaultState>,
}

/// Decodes the words of the three flavors; each may be cut off or missing.
pub fn from_words(arch: Arch, general: &[u32], float: &[u32], fault: &[u32]) -> Registers {
    let cpu = match arch {
        Arch::Arm64 => arm64(general).map(|state| Arm64State { vector: neon(float).map(Box::new), ..state }),
        Arch::Amd64 => return Registers { cpu: amd64(general, float), fault: amd64_fault(fault) },
    };
    Registers { cpu: cpu.map(|state| CpuState::Arm64(Box::new(state))), fault: arm64_fault(fault) }
}

fn arm64(words: &[u32]) -> Option<Arm64State> {
    let mut x = [0; 29];
    for (index, register) in x.iter_mut().enumerate() {
        *register = pair(words, index * 2)?;
    }
    let register = |index: usize| pair(words, index * 2);
    Some(Arm64State {
        x,
        fp: register(29)?,
        lr: register(30)?,
        sp: register(31)?,
        pc: register(32)?,
        cpsr: *words.get(66)?,
        vector: None,
    })
}

fn neon(words: &[u32]) -> Option<Arm64Vector> {
    let bytes: Vec<u8> = bytes_of(words.get(..128)?).collect();
    let mut v = [[0; 16]; 32];
    for (index, register) in v.iter_mut().enumerate() {
        *register = array_at(&bytes, index * 16)?;
    }
    Some(Arm64Vector { v, fpsr: *words.get(128)?, fpcr: *words.get(129)? })
}

fn arm64_fault(words: &[u32]) -> Option<FaultState> {
    let (address, syndrome, number) = (pair(words, 0)?, *words.get(2)?, *words.get(3)?);
    Some(FaultState { address, syndrome, number, cpu: 0 })
}

fn amd64(words: &[u32], float: &[u32]) -> Option<CpuState> {
    let register = |index: usize| pair(words, index * 2);
    let segment =
        |index: usize| register(index).map(|value| u16::try_from(value & 0xffff).unwrap_or_default());
    let state = Amd64State {
        rax: register(0)?,
        rbx: register(1)?,
        rcx: register(2)?,
        rdx: register(3)?,
        rdi: register(4)?,
        rsi: register(5)?,
        rbp: register(6)?,
        rsp: register(7)?,
        r8: register(8)?,
        r9: register(9)?,
        r10: register(10)?,
        r11: register(11)?,
        r12: register(12)?,
        r13: register(13)?,
        r14: register(14)?,
        r15: register(15)?,
        rip: register(16)?,
        rflags: register(17)?,
        cs: segment(18)?,
        fs: segment(19)?,
        gs: segment(20)?,
        orig_rax: u64::MAX,
        // Two reserved words, the image, one reserved word.
        xsave: float.get(2..130).map(|image| bytes_of(image).collect()).unwrap_or_default(),
        ..Amd64State::default()
    };
    Some(CpuState::Amd64(Box::new(state)))
}

fn amd64_fault(words: &[u32]) -> Option<FaultState> {
    let (trap, syndrome, address) = (*words.first()?, *words.get(1)?, pair(words, 2)?);
    let cpu = u16::try_from(trap >> 16).unwrap_or_default();
    Some(FaultState { address, syndrome, number: trap & 0xffff, cpu })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::tests::words_with;

    /// Words that each hold their own index and something to tell the structure by.
    fn numbered(count: u32, mark: u32) -> Vec<u32> {
        (0..count).map(|index| mark | index).collect()
    }

    fn both(index: u64, mark: u64) -> u64 {
        (mark | index) | (mark | (index + 1)) << 32
    }

    #[test]
    fn registers_of_arm64_lie_in_the_order_of_the_kernel() {
        let (general, float) = (numbered(68, 0xa000), numbered(132, 0xb000));
        let fault =
            words_with(16, &[(0, &0x1234_5678_9abc_u64.to_le_bytes()), (8, &[1, 0, 0, 0x92]), (12, &[9])]);
        let registers = from_words(Arch::Arm64, &general, &float, &fault);
        let Some(CpuState::Arm64(state)) = registers.cpu else { panic!() };
        assert_eq!(state.x, std::array::from_fn(|index| both(index as u64 * 2, 0xa000)));
        let named = [state.fp, state.lr, state.sp, state.pc];
        assert_eq!(named, [58, 60, 62, 64].map(|index| both(index, 0xa000)));
        assert_eq!(state.cpsr, 0xa042);
        let vector = state.vector.unwrap();
        assert_eq!(vector.v[0][..4], 0xb000_u32.to_le_bytes());
        assert_eq!(vector.v[31][12..], 0xb07f_u32.to_le_bytes());
        assert_eq!((vector.fpsr, vector.fpcr), (0xb080, 0xb081));
        let fault = registers.fault.unwrap();
        assert_eq!((fault.address, fault.syndrome, fault.number), (0x1234_5678_9abc, 0x9200_0001, 9));
    }

    #[test]
    fn registers_of_x86_64_lie_in_the_order_of_the_kernel() {
        let (general, float) = (numbered(42, 0xa000), numbered(131, 0xb000));
        let fields: [(usize, &[u8]); 4] =
            [(0, &[14, 0]), (2, &[3, 0]), (4, &[6]), (8, &0xdead_beef_0000_u64.to_le_bytes())];
        let registers = from_words(Arch::Amd64, &general, &float, &words_with(16, &fields));
        let Some(CpuState::Amd64(state)) = registers.cpu else { panic!() };
        let first = [state.rax, state.rbx, state.rcx, state.rdx, state.rdi, state.rsi, state.rbp, state.rsp];
        assert_eq!(first, std::array::from_fn(|index| both(index as u64 * 2, 0xa000)));
        let second = [state.r8, state.r9, state.r10, state.r11, state.r12, state.r13, state.r14, state.r15];
        assert_eq!(second, std::array::from_fn(|index| both(index as u64 * 2 + 16, 0xa000)));
        assert_eq!([state.rip, state.rflags], [32, 34].map(|index| both(index, 0xa000)));
        assert_eq!([state.cs, state.fs, state.gs], [36, 38, 40].map(|index| 0xa000 | index));
        assert_eq!(state.xsave.len(), 512);
        assert_eq!(state.xsave[..4], 0xb002_u32.to_le_bytes(), "behind two reserved words");
        let fault = registers.fault.unwrap();
        assert_eq!((fault.number, fault.cpu, fault.syndrome, fault.address), (14, 3, 6, 0xdead_beef_0000));
    }

    #[test]
    fn states_that_are_cut_off_are_none() {
        for (arch, least) in [(Arch::Arm64, 67), (Arch::Amd64, 42)] {
            for count in 0..=68 {
                let registers = from_words(arch, &numbered(count, 0), &[], &[]);
                assert_eq!(registers.cpu.is_some(), count >= least);
                assert_eq!(registers.fault, None);
            }
        }
        let registers = from_words(Arch::Arm64, &numbered(68, 0), &numbered(129, 0), &[1, 2, 3]);
        let Some(CpuState::Arm64(state)) = registers.cpu else { panic!() };
        assert_eq!((state.vector, registers.fault), (None, None));
    }
}
