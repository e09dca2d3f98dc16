//! Ways to crash, one function each, so that a dump can be asked which one it was.

use crash_handler::CrashHandler;
use std::arch::asm;
use std::hint::black_box;

/// An address that no program has anything at.
const UNMAPPED: usize = 0x18;

/// How to crash.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Abort,
    Segv,
    Bus,
    Fpe,
    Illegal,
    Trap,
    StackOverflow,
    /// No crash: a report on request.
    Simulated,
}

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "abort" => Self::Abort,
            "segv" => Self::Segv,
            "bus" => Self::Bus,
            "fpe" => Self::Fpe,
            "illegal" => Self::Illegal,
            "trap" => Self::Trap,
            "stack-overflow" => Self::StackOverflow,
            "simulated" => Self::Simulated,
            _ => return None,
        })
    }
}

/// Crashes. Returns only when asked not to crash really.
#[inline(never)]
pub fn commit(kind: Kind, handler: &CrashHandler) {
    match kind {
        Kind::Abort => abort(),
        Kind::Segv => segv(),
        Kind::Bus => bus(),
        Kind::Fpe => fpe(),
        Kind::Illegal => illegal(),
        Kind::Trap => trap(),
        Kind::StackOverflow => {
            black_box(overflow(0));
        }
        Kind::Simulated => simulate(handler),
    }
}

#[inline(never)]
fn abort() {
    // SAFETY: ends the process, which is what it is for.
    unsafe { libc::abort() }
}

#[inline(never)]
fn segv() {
    // SAFETY: nothing is mapped there, so nothing is written; the process ends.
    unsafe { asm!("mov qword ptr [{}], 1", in(reg) UNMAPPED) }
}

/// Reads behind the end of a file.
#[inline(never)]
fn bus() {
    // SAFETY: an empty file of its own is mapped at a place that the kernel chooses; reading it raises SIGBUS.
    unsafe {
        let file = libc::memfd_create(c"empty".as_ptr(), libc::MFD_CLOEXEC);
        let nowhere = std::ptr::null_mut();
        let page = libc::mmap(nowhere, 4096, libc::PROT_READ, libc::MAP_SHARED, file, 0);
        asm!("mov {0}, qword ptr [{0}]", inout(reg) page => _);
    }
}

#[inline(never)]
fn fpe() {
    // SAFETY: divides by zero, which raises an exception before any register changes.
    unsafe { asm!("xor edx, edx", "mov eax, 1", "div {0:e}", in(reg) 0, out("eax") _, out("edx") _) }
}

#[inline(never)]
fn illegal() {
    // SAFETY: an instruction that the processor reserves for being illegal.
    unsafe { asm!("ud2") }
}

/// The processor reports a breakpoint behind the instruction, so a program that survives the report goes on there.
#[inline(never)]
fn trap() {
    // SAFETY: a breakpoint.
    unsafe { asm!("int3") }
}

/// Calls nothing but itself, so that it is this function that finds the end of the stack.
#[inline(never)]
#[expect(unconditional_recursion, reason = "it is to use up the stack")]
fn overflow(depth: u64) -> u64 {
    let frame = [depth; 64];
    // SAFETY: does nothing; because it might read the array, that has to be in memory.
    unsafe { asm!("/* {0} */", in(reg) &raw const frame, options(nostack, preserves_flags)) };
    overflow(depth ^ 1) ^ frame[2]
}

#[inline(never)]
fn simulate(handler: &CrashHandler) {
    handler.simulate_signal(libc::SIGABRT.cast_unsigned());
}
