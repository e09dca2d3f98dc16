//! `NT_PRSTATUS` of x86-64: `struct elf_prstatus` of <linux/elfcore.h>, 336 bytes.

use crate::convert::words::{u16_at, u32_at, u64_at};
use crate::snapshot::cpu::Amd64State;
use crate::snapshot::{CpuState, Thread, ThreadTimes};

/// Offsets in the structure.
const SIGNAL: usize = 12;
const PID: usize = 32;
const USER_TIME: usize = 48;
const KERNEL_TIME: usize = 64;
const REGISTERS: usize = 112;

/// A thread as its status tells of it.
#[derive(Debug)]
pub struct Status {
    pub thread: Thread,
    /// The signal that it was stopped with; 0 for none.
    pub signal: u16,
    pub parent: u32,
}

pub fn parse(bytes: &[u8]) -> Option<Status> {
    let mut thread = Thread::new(u32_at(bytes, PID)?);
    let state = general(bytes.get(REGISTERS..)?)?;
    // The status of a thread that could not be stopped has no registers.
    if state != Amd64State::default() {
        thread.thread_pointer = Some(state.fs_base);
        thread.cpu = Some(CpuState::Amd64(Box::new(state)));
    }
    let time = |at: usize| {
        let seconds = u64_at(bytes, at)?.checked_mul(1_000_000)?;
        seconds.checked_add(u64_at(bytes, at + 8)?)
    };
    let (user_us, kernel_us) = (time(USER_TIME).unwrap_or(0), time(KERNEL_TIME).unwrap_or(0));
    if user_us > 0 || kernel_us > 0 {
        thread.times = Some(ThreadTimes { start_us: 0, user_us, kernel_us });
    }
    Some(Status { thread, signal: u16_at(bytes, SIGNAL)?, parent: u32_at(bytes, PID + 4)? })
}

/// `struct user_regs_struct` of <sys/user.h>: 27 words.
#[expect(clippy::cast_possible_truncation, reason = "selectors are 16 bits wide, in 64-bit slots")]
fn general(bytes: &[u8]) -> Option<Amd64State> {
    let word = |index: usize| u64_at(bytes, 8 * index);
    Some(Amd64State {
        r15: word(0)?,
        r14: word(1)?,
        r13: word(2)?,
        r12: word(3)?,
        rbp: word(4)?,
        rbx: word(5)?,
        r11: word(6)?,
        r10: word(7)?,
        r9: word(8)?,
        r8: word(9)?,
        rax: word(10)?,
        rcx: word(11)?,
        rdx: word(12)?,
        rsi: word(13)?,
        rdi: word(14)?,
        orig_rax: word(15)?,
        rip: word(16)?,
        cs: word(17)? as u16,
        rflags: word(18)?,
        rsp: word(19)?,
        ss: word(20)? as u16,
        fs_base: word(21)?,
        gs_base: word(22)?,
        ds: word(23)? as u16,
        es: word(24)? as u16,
        fs: word(25)? as u16,
        gs: word(26)? as u16,
        xsave: Vec::new(),
        debug: None,
    })
}
