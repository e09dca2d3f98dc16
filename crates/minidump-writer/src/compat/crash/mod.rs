//! Crashes as crash handlers record them, turned into [`Crash`] for [`DumpOptions::crash`](crate::DumpOptions::crash).

mod registers;
mod siginfo;

use crate::snapshot::{CpuState, Crash, Exception};
use registers::{Trap, cpu_state};
use siginfo::{Origin, Siginfo};

/// What the crash handler recorded in `context`: the signal and why it came, and the registers at that instant.
///
/// The exception's parameters are:
///
/// | index | kernel found a fault: SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP | SIGSYS of seccomp | a process sent it |
/// |---|---|---|---|
/// | 0 | `si_code`, sign-extended | `si_code` | `si_code`, sign-extended |
/// | 1 | `si_addr` | `si_call_addr`: behind the call | `si_pid` of the sender |
/// | 2 | number of the processor's exception (Intel SDM volume 3 table 6-1) | `si_syscall` | `si_uid` of the sender |
/// | 3 | its error code; that of a page fault says read or write | `si_arch` (`AUDIT_ARCH_*`) | the value, of sigqueue(3) only |
/// | 4 | CR2, the address of the last page fault | | |
/// | 5 … | lower and upper bound (`SEGV_BNDERR`), protection key (`SEGV_PKUERR`), or bits of the address that mean nothing (`BUS_MCEERR_*`) | | |
///
/// All other signals have parameter 0 only. Source: <asm-generic/siginfo.h>, <asm/sigcontext.h>.
///
/// The address of the exception is `si_addr` of a memory fault and of an exception that has one, `si_call_addr` of a
/// system call, and the instruction pointer otherwise. A general protection fault has address 0, by which readers know
/// that the processor did not tell it.
///
/// The signal description is read both as the `signalfd_siginfo` that its type says it is and as the `siginfo_t` that
/// the `crash-handler` crate really stores there. The segment bases are not in a signal context and stay zero.
#[must_use]
pub fn from_crash_context(context: &::crash_context::CrashContext) -> Crash {
    let (cpu, trap) = cpu_state(context);
    from_parts(context.tid.unsigned_abs(), &Siginfo::decode(&context.siginfo), cpu, trap)
}

/// What a signal handler sees: `siginfo` is the kernel's `siginfo_t`, `registers` are `uc_mcontext.gregs` of
/// <sys/ucontext.h>, and `xsave` is the image that `uc_mcontext.fpregs` points at: that of FXSAVE, or of XSAVE in its
/// standard format, or nothing. The exception is that of [`from_crash_context`].
#[must_use]
pub fn from_signal_frame(thread: u32, siginfo: [u8; 128], registers: [u64; 23], mut xsave: Vec<u8>) -> Crash {
    registers::as_ptrace_tells(&mut xsave);
    let (cpu, trap) = registers::of_words(registers, xsave);
    from_parts(thread, &Siginfo::decode(&siginfo::of_bytes(siginfo)), cpu, trap)
}

fn from_parts(thread: u32, siginfo: &Siginfo, cpu: CpuState, trap: Trap) -> Crash {
    let exception = Exception {
        thread,
        code: siginfo.signal,
        flags: siginfo.code.cast_unsigned(),
        address: siginfo.address().unwrap_or(cpu.instruction_pointer()),
        parameters: parameters(siginfo, trap),
    };
    Crash { exception, cpu: Some(cpu) }
}

/// Why a thread gets a signal, as PTRACE_GETSIGINFO tells: `siginfo` is the kernel's `siginfo_t`. The processor's own account
/// of a fault is not in there, so of the parameters of [`from_crash_context`] only the first two are there for faults.
/// `instruction_pointer` is that of the thread.
#[must_use]
pub fn from_siginfo(thread: u32, siginfo: [u8; 128], instruction_pointer: u64) -> Exception {
    let siginfo = Siginfo::decode(&siginfo::of_bytes(siginfo));
    let mut parameters = parameters(&siginfo, Trap::default());
    if matches!(siginfo.origin, Origin::Fault { .. }) {
        parameters.truncate(2);
    }
    let address = siginfo.address().unwrap_or(instruction_pointer);
    Exception { thread, code: siginfo.signal, flags: siginfo.code.cast_unsigned(), address, parameters }
}

fn parameters(siginfo: &Siginfo, trap: Trap) -> Vec<u64> {
    let code = i64::from(siginfo.code).cast_unsigned();
    let mut parameters = vec![code];
    match &siginfo.origin {
        Origin::Fault { address, details } => {
            parameters.extend([*address, trap.number, trap.error, trap.cr2]);
            parameters.extend(details);
        }
        Origin::SystemCall { address, number, architecture } => {
            parameters.extend([*address, u64::from(*number), u64::from(*architecture)]);
        }
        Origin::Sender { pid, uid, value } => {
            parameters.extend([u64::from(*pid), u64::from(*uid)]);
            parameters.extend(value);
        }
        Origin::Unknown => {}
    }
    parameters
}

#[cfg(test)]
mod tests;
