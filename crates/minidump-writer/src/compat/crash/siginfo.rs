//! Reads the signal description of a crash context, whichever of two layouts it has.
//!
//! The type of the field is `struct signalfd_siginfo` (<sys/signalfd.h>), but the `crash-handler` crate copies the
//! kernel's `siginfo_t` (<asm-generic/siginfo.h>) into it byte by byte. Both are 128 bytes and start with the same
//! three fields. Then they part (offsets in bytes; the union of `siginfo_t` starts at 16):
//!
//! | | `siginfo_t` | `signalfd_siginfo` |
//! |---|---|---|
//! | sender's pid, uid | 16, 20 | 12, 16 |
//! | value of sigqueue(3) | 24 | 48 |
//! | fault's address, count of its meaningless bits | 16, 24 (2 bytes) | 72, 80 |
//! | bounds; protection key | 32 and 40; 32 | not there |
//! | system call's address, number, architecture | 16, 24, 28 | 88, 84, 96 |

use libc::signalfd_siginfo;

/// `si_code` (<asm-generic/siginfo.h>).
const SI_KERNEL: i32 = 0x80;
const SEGV_BNDERR: i32 = 3;
const SEGV_PKUERR: i32 = 4;
const SYS_SECCOMP: i32 = 1;
/// A machine check found memory broken; SIGBUS.
const BUS_MCEERR: [i32; 2] = [libc::BUS_MCEERR_AR, libc::BUS_MCEERR_AO];

/// A signal, and why it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Siginfo {
    pub signal: u32,
    pub code: i32,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The processor raised an exception.
    Fault { address: u64, details: Vec<u64> },
    /// seccomp refused a system call.
    SystemCall { address: u64, number: u32, architecture: u32 },
    /// A process sent it.
    Sender { pid: u32, uid: u32, value: Option<u64> },
    /// Nothing more is known.
    Unknown,
}

/// The kernel's `siginfo_t` in the field that crash contexts have for it.
#[allow(unsafe_code)]
pub(super) fn of_bytes(siginfo: [u8; 128]) -> signalfd_siginfo {
    // SAFETY: both are 128 bytes, and the structure has only numbers, for which any bits are values.
    unsafe { std::mem::transmute(siginfo) }
}

impl Siginfo {
    pub fn decode(info: &signalfd_siginfo) -> Self {
        let (signal, code) = (info.ssi_signo, info.ssi_code);
        let origin = match signal.cast_signed() {
            libc::SIGSYS if code == SYS_SECCOMP => system_call(info),
            libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP if code > 0 => {
                fault(info)
            }
            _ if matches!(code, libc::SI_USER | libc::SI_TKILL) => sender(info, false),
            _ if matches!(code, libc::SI_QUEUE | libc::SI_MESGQ) => sender(info, true),
            _ => Origin::Unknown,
        };
        Self { signal, code, origin }
    }

    /// The address that the signal is about, if it is about one.
    pub fn address(&self) -> Option<u64> {
        let about_memory = matches!(self.signal.cast_signed(), libc::SIGSEGV | libc::SIGBUS);
        match &self.origin {
            // `SI_KERNEL` comes without an address. Readers know a general protection fault by its address of zero.
            Origin::Fault { address, .. } => {
                Some(*address).filter(|_| about_memory || self.code != SI_KERNEL)
            }
            Origin::SystemCall { address, .. } => Some(*address),
            Origin::Sender { .. } | Origin::Unknown => None,
        }
    }
}

/// Whether the fields are where the type says. `siginfo_t` has a hole at the place of `ssi_pid` and ends before
/// `ssi_ptr`, and the kernel clears both.
fn is_signalfd(info: &signalfd_siginfo) -> bool {
    info.ssi_pid != 0
        || info.ssi_ptr != 0
        || info.ssi_addr != 0
        || info.ssi_call_addr != 0
        || info.ssi_syscall != 0
        || info.ssi_arch != 0
}

/// As [`is_signalfd`], of a fault or a refused system call. Old kernels leave what the stack held before in those
/// parts of `siginfo_t` that they do not need, so an address at its place counts more than bits behind it, unless
/// both a sender and an address are where the type says.
fn is_signalfd_with_address(info: &signalfd_siginfo) -> bool {
    is_signalfd(info) && (at_16(info) == 0 || (info.ssi_pid != 0 && info.ssi_addr != 0))
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The 8 bytes of `siginfo_t` at offset 16.
fn at_16(info: &signalfd_siginfo) -> u64 {
    join(info.ssi_uid, info.ssi_fd.cast_unsigned())
}

/// At offset 24.
fn at_24(info: &signalfd_siginfo) -> u64 {
    join(info.ssi_tid, info.ssi_band)
}

/// At offset 32.
fn at_32(info: &signalfd_siginfo) -> u64 {
    join(info.ssi_overrun, info.ssi_trapno)
}

/// At offset 40.
fn at_40(info: &signalfd_siginfo) -> u64 {
    join(info.ssi_status.cast_unsigned(), info.ssi_int.cast_unsigned())
}

fn fault(info: &signalfd_siginfo) -> Origin {
    let signalfd = is_signalfd_with_address(info);
    let memory_error = info.ssi_signo == libc::SIGBUS.cast_unsigned() && BUS_MCEERR.contains(&info.ssi_code);
    let segment_fault = info.ssi_signo == libc::SIGSEGV.cast_unsigned();
    let details = match info.ssi_code {
        _ if memory_error && signalfd => vec![u64::from(info.ssi_addr_lsb)],
        _ if memory_error => vec![at_24(info) & 0xffff],
        SEGV_BNDERR if segment_fault && !signalfd => vec![at_32(info), at_40(info)],
        SEGV_PKUERR if segment_fault && !signalfd => vec![at_32(info) & 0xffff_ffff],
        _ => Vec::new(),
    };
    Origin::Fault { address: if signalfd { info.ssi_addr } else { at_16(info) }, details }
}

fn system_call(info: &signalfd_siginfo) -> Origin {
    if is_signalfd_with_address(info) {
        let number = info.ssi_syscall.cast_unsigned();
        return Origin::SystemCall { address: info.ssi_call_addr, number, architecture: info.ssi_arch };
    }
    Origin::SystemCall { address: at_16(info), number: info.ssi_tid, architecture: info.ssi_band }
}

fn sender(info: &signalfd_siginfo, with_value: bool) -> Origin {
    if is_signalfd(info) {
        let value = with_value.then_some(info.ssi_ptr);
        return Origin::Sender { pid: info.ssi_pid, uid: info.ssi_uid, value };
    }
    let value = with_value.then(|| at_24(info));
    Origin::Sender { pid: info.ssi_uid, uid: info.ssi_fd.cast_unsigned(), value }
}
