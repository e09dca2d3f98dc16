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
