//! What a Mach exception means (mach/exception_types.h).

use crate::ThreadPort;
use crate::arch::Arch;
use crate::bytes::{high_half, low_half};

const EXC_BAD_ACCESS: u32 = 1;
const EXC_SOFTWARE: u32 = 5;
const EXC_CRASH: u32 = 10;
const EXC_RESOURCE: u32 = 11;
const EXC_GUARD: u32 = 12;
const EXC_CORPSE_NOTIFY: u32 = 13;

/// EXC_SOFT_SIGNAL, and the code that readers know for abort() in its place.
const SOFT_SIGNAL: u32 = 0x1_0003;
const SOFT_SIGNAL_ABORT: u32 = 0x1_0002;
const SIGABRT: u64 = 6;

/// The thread that an exception is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashedThread {
    /// By the id that is unique in the system, as messages of protected behaviours tell it, or by the lower half of it, as
    /// snapshots do.
    Id(u64),
    /// By its port.
    Port(ThreadPort),
}

impl CrashedThread {
    /// Whether this is the thread with that port and id.
    pub(crate) fn is(self, port: ThreadPort, id: Option<u64>) -> bool {
        match self {
            Self::Id(asked) => id.is_some_and(|id| is_named_by(id, asked)),
            Self::Port(asked) => port == asked,
        }
    }
}

/// Whether `name` is the id of a thread, or the lower half of it.
pub fn is_named_by(id: u64, name: u64) -> bool {
    id == name || u64::from(low_half(id)) == name
}

/// A Mach exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachException {
    /// EXC_*, as the message told it: EXC_CRASH is not taken apart yet.
    pub kind: u32,
    /// `code[0]` and `code[1]`.
    pub codes: [u64; 2],
}

/// What is known of a crash before the capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachCrash {
    /// The thread that crashed.
    pub thread: CrashedThread,
    /// `None` when a program asks for a dump of itself with the registers in `states`.
    pub exception: Option<MachException>,
    /// States of the thread when it crashed. Flavors that are missing are asked of the kernel, unless the thread runs the
    /// capture: its registers by now are other ones.
    pub states: Vec<RawState>,
}

/// The words of a thread's state, as `thread_get_state` or an exception message gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawState {
    /// THREAD_STATE flavor: on arm64 6, 7 and 17, on x86-64 4, 5 and 6. Those that contain another one and its header
    /// (ARM_THREAD_STATE, x86_THREAD_STATE and its kin) are understood, too.
    pub flavor: u32,
    /// The words.
    pub words: Vec<u32>,
}

impl RawState {
    /// The flavor and the words proper.
    pub(crate) fn plain(&self, arch: Arch) -> (u32, &[u32]) {
        let composite = match arch {
            Arch::Arm64 => self.flavor == 1,
            Arch::Amd64 => (7..=9).contains(&self.flavor),
        };
        match self.words.as_slice() {
            // Flavor and count, then the state.
            [flavor, _, words @ ..] if composite => (*flavor, words),
            words => (self.flavor, words),
        }
    }
}

/// What an exception is to readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    pub code: u32,
    pub flags: u32,
    pub address: u64,
    pub parameters: Vec<u64>,
}

/// Decodes `exception` of a thread whose instruction pointer is `pc`.
pub fn decode(exception: MachException, arch: Arch, pc: Option<u64>) -> Decoded {
    let MachException { kind, codes: [code0, code1] } = exception;
    let parameters = vec![u64::from(kind), code0, code1];
    let pc = pc.unwrap_or_default();
    let decoded = |code: u32, flags: u32, address: u64| Decoded { code, flags, address, parameters };
    match recover(kind, code0) {
        Recovered::Exception { kind: EXC_BAD_ACCESS, code } => {
            let address = if tells_address(arch, code) { code1 } else { pc };
            decoded(EXC_BAD_ACCESS, low_half(code), address)
        }
        Recovered::Exception { kind: kind @ (EXC_RESOURCE | EXC_GUARD), code } => {
            decoded(kind, high_half(code), pc)
        }
        Recovered::Exception { kind, code } => decoded(kind, low_half(code), pc),
        Recovered::Signal(SIGABRT) => decoded(EXC_SOFTWARE, SOFT_SIGNAL_ABORT, pc),
        Recovered::Signal(_) => decoded(EXC_SOFTWARE, SOFT_SIGNAL, pc),
    }
}

/// What EXC_CRASH was made of.
enum Recovered {
    Exception { kind: u32, code: u64 },
    Signal(u64),
}

/// Takes EXC_CRASH apart: signal in bits 24 to 31 of the code, type in bits 20 to 23, code below. Without a type it was a
/// signal that no exception led to.
fn recover(kind: u32, code: u64) -> Recovered {
    if kind != EXC_CRASH {
        return Recovered::Exception { kind, code };
    }
    let (signal, inner) = (code >> 24 & 0xff, low_half(code >> 20 & 0xf));
    match inner {
        // These do not end as EXC_CRASH, so that the code holds something else.
        0 | EXC_CRASH | EXC_RESOURCE | EXC_GUARD | EXC_CORPSE_NOTIFY if signal != 0 => {
            Recovered::Signal(signal)
        }
        0 | EXC_CRASH | EXC_RESOURCE | EXC_GUARD | EXC_CORPSE_NOTIFY => Recovered::Exception { kind, code },
        inner => Recovered::Exception { kind: inner, code: code & 0xf_ffff },
    }
}

/// Whether the second code of EXC_BAD_ACCESS is an address. On x86-64 it is none after a general protection fault, and where a
/// page that may only be read was executed.
fn tells_address(arch: Arch, code: u64) -> bool {
    const EXC_I386_GPFLT: u64 = 13;
    const VM_PROT_READ_EXECUTE: u64 = 5;
    arch == Arch::Arm64 || !matches!(code, EXC_I386_GPFLT | VM_PROT_READ_EXECUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(kind: u32, codes: [u64; 2], arch: Arch) -> (u32, u32, u64) {
        let decoded = decode(MachException { kind, codes }, arch, Some(0x1_0000_1234));
        assert_eq!(decoded.parameters, [u64::from(kind), codes[0], codes[1]]);
        (decoded.code, decoded.flags, decoded.address)
    }

    #[test]
    fn a_crash_is_taken_apart_into_the_exception_that_led_to_it() {
        assert_eq!(decoded(10, [0x0b10_0001, 0x10], Arch::Amd64), (1, 1, 0x10));
        assert_eq!(decoded(10, [0x0b10_0002, 0xdead_0000], Arch::Arm64), (1, 2, 0xdead_0000));
        assert_eq!(decoded(10, [0x0420_0001, 7], Arch::Arm64), (2, 1, 0x1_0000_1234), "EXC_BAD_INSTRUCTION");
        assert_eq!(decoded(10, [0x0560_0001, 7], Arch::Arm64), (6, 1, 0x1_0000_1234), "EXC_BREAKPOINT");
    }

    #[test]
    fn abort_is_a_software_exception_that_readers_know() {
        assert_eq!(decoded(10, [0x0600_0000, 0], Arch::Arm64), (5, 0x1_0002, 0x1_0000_1234));
        assert_eq!(decoded(10, [0x0f00_0000, 0], Arch::Arm64), (5, 0x1_0003, 0x1_0000_1234), "SIGTERM");
    }

    #[test]
    fn what_cannot_end_as_a_crash_is_not_taken_out_of_one() {
        assert_eq!(decoded(10, [0x09c0_0001, 0], Arch::Arm64), (5, 0x1_0003, 0x1_0000_1234), "SIGKILL");
        assert_eq!(decoded(10, [0x00a0_0001, 0], Arch::Arm64), (10, 0x00a0_0001, 0x1_0000_1234));
    }

    #[test]
    fn of_guards_and_resources_the_upper_half_tells_the_kind() {
        assert_eq!(
            decoded(12, [0x4000_0001_0000_0103, 0xfeed], Arch::Arm64),
            (12, 0x4000_0001, 0x1_0000_1234)
        );
        assert_eq!(decoded(11, [0x6800_0000_0000_0080, 0], Arch::Arm64), (11, 0x6800_0000, 0x1_0000_1234));
    }

    #[test]
    fn a_state_inside_of_a_composite_one_is_found() {
        let state = RawState { flavor: 7, words: vec![4, 42, 1, 2] };
        assert_eq!(state.plain(Arch::Amd64), (4, &[1, 2][..]));
        assert_eq!(state.plain(Arch::Arm64), (7, &[4, 42, 1, 2][..]));
    }

    #[test]
    fn on_x86_some_bad_accesses_tell_no_address() {
        for code in [13, 5] {
            assert_eq!(decoded(1, [code, 0x77], Arch::Amd64).2, 0x1_0000_1234);
            assert_eq!(decoded(1, [code, 0x77], Arch::Arm64).2, 0x77);
        }
        assert_eq!(decoded(1, [1, 0x77], Arch::Amd64), (1, 1, 0x77));
    }
}
