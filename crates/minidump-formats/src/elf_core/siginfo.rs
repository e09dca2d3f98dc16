//! `NT_SIGINFO`: `siginfo_t` of <asm-generic/siginfo.h>, 128 bytes.
//!
//! | offset | all | fault | seccomp's SIGSYS | sent by a process |
//! |---|---|---|---|---|
//! | 0, 4, 8 | signal, 0, `si_code` | | | |
//! | 16 | | address | behind the call | pid, and uid at 20 |
//! | 24 | | bits of the address that mean nothing (`BUS_MCEERR_*`) | number, and architecture at 28 | value of sigqueue(3) |
//! | 32 | | lower bound and, at 40, upper bound, or protection key | | |

use super::fields::Fields;
use minidump_snapshot::Exception;

const SIZE: usize = 128;

/// Signal numbers, the same on all architectures with the generic header.
const SIGILL: u32 = 4;
const SIGTRAP: u32 = 5;
const SIGBUS: u32 = 7;
const SIGFPE: u32 = 8;
const SIGSEGV: u32 = 11;
const SIGSYS: u32 = 31;

/// `si_code`.
const SYS_SECCOMP: i32 = 1;
const BUS_MEMORY_ERRORS: [i32; 2] = [4, 5];
const SEGV_BOUNDS: i32 = 3;
const SEGV_PROTECTION_KEY: i32 = 4;
/// `SI_USER`, `SI_QUEUE`, `SI_MESGQ`, `SI_TKILL`.
const SENT: [i32; 4] = [0, -1, -3, -6];

/// The kernel's description of the signal that `exception` tells of. Its parameters are `si_code`, then address and
/// three words about the processor's exception and what is special to the code; or behind the call, its number and its
/// architecture; or the sender's pid and uid, and the value sent.
pub(crate) fn siginfo(exception: &Exception) -> Vec<u8> {
    let (signal, code) = (exception.code, exception.flags.cast_signed());
    let head = Fields::with_capacity(SIZE).u32(signal).u32(0).u32(exception.flags).u32(0);
    let parameter = |index: usize| exception.parameters.get(index).copied();
    let fields = match signal {
        SIGSYS if code == SYS_SECCOMP => {
            let (number, architecture) = (parameter(2).unwrap_or(0), parameter(3).unwrap_or(0));
            let head = head.u64(parameter(1).unwrap_or(exception.address));
            head.u32(low_half(number)).u32(low_half(architecture))
        }
        SIGILL | SIGTRAP | SIGBUS | SIGFPE | SIGSEGV if code > 0 => {
            let head = head.u64(parameter(1).unwrap_or(exception.address));
            match (signal, code) {
                (SIGBUS, code) if BUS_MEMORY_ERRORS.contains(&code) => head.u64(parameter(5).unwrap_or(0)),
                (SIGSEGV, SEGV_BOUNDS) => {
                    head.words(&[0, parameter(5).unwrap_or(0), parameter(6).unwrap_or(0)])
                }
                (SIGSEGV, SEGV_PROTECTION_KEY) => head.words(&[0, parameter(5).unwrap_or(0)]),
                _ => head,
            }
        }
        _ if SENT.contains(&code) => {
            let (pid, uid) = (parameter(1).unwrap_or(0), parameter(2).unwrap_or(0));
            head.u32(low_half(pid)).u32(low_half(uid)).u64(parameter(3).unwrap_or(0))
        }
        _ => head,
    };
    fields.zeros_to(SIZE).finish()
}

fn low_half(value: u64) -> u32 {
    let [b0, b1, b2, b3, ..] = value.to_le_bytes();
    u32::from_le_bytes([b0, b1, b2, b3])
}
