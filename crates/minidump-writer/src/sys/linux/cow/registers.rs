//! The general registers of a borrowed thread (`struct user_regs_struct`, <sys/user.h>).

use super::requests::REGISTERS;
use std::mem::offset_of;

/// Selectors of 64-bit user code (`__USER_CS`, arch/x86/include/asm/segment.h; `FLAT_USER_CS64` under Xen).
const USER_CODE_64: [u64; 2] = [0x33, 0xe033];
/// RFLAGS.TF: the thread is being single-stepped.
const TRAP_FLAG: u64 = 0x100;
/// Length of a `syscall` instruction.
const INSTRUCTION: u64 = 2;
/// Where a system call takes its arguments (syscall(2)).
const ARGUMENTS: [usize; 6] = [
    offset_of!(libc::user_regs_struct, rdi),
    offset_of!(libc::user_regs_struct, rsi),
    offset_of!(libc::user_regs_struct, rdx),
    offset_of!(libc::user_regs_struct, r10),
    offset_of!(libc::user_regs_struct, r8),
    offset_of!(libc::user_regs_struct, r9),
];
const RAX: usize = offset_of!(libc::user_regs_struct, rax);
const ORIG_RAX: usize = offset_of!(libc::user_regs_struct, orig_rax);
const RSP: usize = offset_of!(libc::user_regs_struct, rsp);
const RIP: usize = offset_of!(libc::user_regs_struct, rip);
/// System calls that last under a signal mask of their own: rt_sigsuspend, pselect6, ppoll, epoll_pwait, io_pgetevents,
/// io_uring_enter, epoll_pwait2.
const WITH_OWN_MASK: [u64; 7] = [130, 270, 271, 281, 333, 426, 441];

/// What a system call leaves in RAX when the kernel is to restart it after a stop: ERESTARTSYS, ERESTARTNOINTR,
/// ERESTARTNOHAND, ERESTART_RESTARTBLOCK (include/linux/errno.h).
const RESTARTS: [i64; 4] = [-512, -513, -514, RESTART_BLOCK];
const RESTART_BLOCK: i64 = -516;

/// All of them, as the kernel gives and takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registers(pub [u8; REGISTERS]);

impl Registers {
    /// Where the thread goes on.
    pub fn instruction(&self) -> u64 {
        self.word(RIP)
    }

    /// Its stack.
    pub fn stack(&self) -> u64 {
        self.word(RSP)
    }

    /// What the last system call returned; negative is an error.
    pub fn result(&self) -> i64 {
        self.word(RAX).cast_signed()
    }

    /// Whether the thread runs 64-bit code, and nobody steps through it.
    pub fn are_plain(&self) -> bool {
        let flags = self.word(offset_of!(libc::user_regs_struct, eflags));
        USER_CODE_64.contains(&self.word(offset_of!(libc::user_regs_struct, cs))) && flags & TRAP_FLAG == 0
    }

    /// The instruction through which the thread went into the system call it is in, if it is in one. The caller must
    /// check that it is one: after exec, for example, the thread is somewhere else.
    pub fn entered_at(&self) -> Option<u64> {
        let inside = self.word(ORIG_RAX).cast_signed() >= 0;
        inside.then(|| self.instruction().checked_sub(INSTRUCTION)).flatten()
    }

    /// Whether the kernel would go on with the system call (restart_syscall(2)) rather than make it again.
    pub fn have_time_running(&self) -> bool {
        self.result() == RESTART_BLOCK
    }

    /// Whether the system call that the thread is in changed the signal mask for as long as it lasts.
    pub fn have_own_mask(&self) -> bool {
        WITH_OWN_MASK.contains(&self.word(ORIG_RAX))
    }

    /// These registers, changed so that the thread does again what it was doing: a system call that the kernel would
    /// restart is made once more, from its beginning.
    pub fn begun_anew(&self) -> Self {
        let mut changed = self.clone();
        if let Some(entry) = self.entered_at()
            && RESTARTS.contains(&self.result())
        {
            changed.set(RIP, entry);
            changed.set(RAX, self.word(ORIG_RAX));
        }
        changed
    }

    /// These registers, changed to end the task at the `syscall` instruction `site`.
    pub fn exiting(&self, site: u64) -> Self {
        self.calling(site, libc::SYS_exit.cast_unsigned(), [0; 6], self.stack())
    }

    /// These registers, changed to make system call `number` at the instruction `site` with another stack.
    ///
    /// ORIG_RAX is -1, "in no system call": otherwise the kernel, on the way to user mode, would restart the one the
    /// thread was in (`arch_do_signal_or_restart`, arch/x86/kernel/signal.c).
    pub fn calling(&self, site: u64, number: u64, arguments: [u64; 6], stack: u64) -> Self {
        let mut changed = self.clone();
        for (offset, value) in ARGUMENTS.into_iter().zip(arguments) {
            changed.set(offset, value);
        }
        changed.set(RAX, number);
        changed.set(RIP, site);
        changed.set(RSP, stack);
        changed.skipping()
    }

    /// These registers, changed so that a thread at the entry of a system call does not make it.
    pub fn skipping(&self) -> Self {
        let mut changed = self.clone();
        changed.set(ORIG_RAX, u64::MAX);
        changed
    }

    /// The register at `offset` of `struct user_regs_struct`.
    pub fn word(&self, offset: usize) -> u64 {
        let bytes = self.0.get(offset..).and_then(|rest| rest.first_chunk());
        u64::from_ne_bytes(bytes.copied().unwrap_or_default())
    }

    fn set(&mut self, offset: usize, value: u64) {
        if let Some(place) = self.0.get_mut(offset..).and_then(|rest| rest.first_chunk_mut()) {
            *place = value.to_ne_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(number: u64, result: i64) -> Registers {
        let mut registers = Registers([0; REGISTERS]);
        registers.set(RIP, 0x1002);
        registers.set(RAX, result.cast_unsigned());
        registers.set(ORIG_RAX, number);
        registers.set(offset_of!(libc::user_regs_struct, cs), USER_CODE_64[0]);
        registers
    }

    #[test]
    fn a_blocked_thread_went_in_two_bytes_before_its_instruction_pointer() {
        assert_eq!(blocked(0, -512).entered_at(), Some(0x1000));
        assert_eq!(blocked(u64::MAX, 0).entered_at(), None, "in no system call");
        assert_eq!(blocked(0, -512).result(), -512);
        assert!(blocked(271, -514).have_own_mask() && !blocked(202, -512).have_own_mask());
    }

    #[test]
    fn a_call_changes_its_registers_and_no_others() {
        let before = blocked(202, -512);
        let call = before.calling(0x7000, 56, [1, 2, 3, 4, 5, 6], 0x9000);
        assert_eq!((call.instruction(), call.result(), call.stack()), (0x7000, 56, 0x9000));
        assert_eq!(call.entered_at(), None);
        let arguments: Vec<u64> = ARGUMENTS.iter().map(|offset| call.word(*offset)).collect();
        assert_eq!(arguments, [1, 2, 3, 4, 5, 6]);
        let mut back = call;
        for offset in ARGUMENTS.into_iter().chain([RAX, RIP, RSP, ORIG_RAX]) {
            back.set(offset, before.word(offset));
        }
        assert_eq!(back, before);
    }

    #[test]
    fn an_interrupted_call_begins_anew_and_a_finished_one_does_not() {
        for restart in RESTARTS {
            let anew = blocked(35, restart).begun_anew();
            assert_eq!((anew.instruction(), anew.result()), (0x1000, 35));
        }
        for finished in [-4, 0, 17] {
            let call = blocked(35, finished);
            assert_eq!(call.begun_anew(), call);
        }
        let running = blocked(u64::MAX, -512);
        assert_eq!(running.begun_anew(), running, "-512 in RAX is a value like any other");
    }

    #[test]
    fn compatibility_code_and_stepped_threads_are_not_plain() {
        let mut registers = blocked(0, 0);
        assert!(registers.are_plain());
        registers.set(offset_of!(libc::user_regs_struct, eflags), TRAP_FLAG | 0x202);
        assert!(!registers.are_plain());
        registers.set(offset_of!(libc::user_regs_struct, eflags), 0x202);
        registers.set(offset_of!(libc::user_regs_struct, cs), 0x23);
        assert!(!registers.are_plain());
    }
}
