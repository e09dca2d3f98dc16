//! Mach exceptions as the readers of minidumps know them.
//!
//! The kernel hands an exception as a type (`EXC_*`) and two codes of 64 bits. The record has 32 bits for each of type
//! and first code; the parameters keep what was handed: type, first code, second code.
//!
//! Source: osfmk/mach/exception_types.h, osfmk/kern/exc_resource.h and bsd/kern/kern_exit.c of XNU.

use minidump_snapshot::Exception;

const EXC_SOFTWARE: u32 = 5;
const EXC_CRASH: u32 = 10;
const EXC_RESOURCE: u32 = 11;
const EXC_GUARD: u32 = 12;
/// `EXC_SOFT_SIGNAL`, and the code that Breakpad's readers show as SIGABRT.
const SOFT_SIGNAL: u32 = 0x1_0003;
const SOFT_SIGABRT: u32 = 0x1_0002;
const SIGABRT: u64 = 6;

/// The code and the flags of the record.
///
/// `EXC_RESOURCE` and `EXC_GUARD` tell their kind in the upper half of the first code, which the flags then are.
/// `EXC_CRASH`, which readers do not know, is what it stands for: another exception or a signal.
pub(crate) fn code_and_flags(exception: &Exception) -> (u32, u32) {
    let unchanged = (exception.code, exception.flags);
    let Some(code) = exception.parameters.get(1).copied() else { return unchanged };
    match exception.code {
        EXC_CRASH => unwrapped(code).unwrap_or(unchanged),
        EXC_RESOURCE | EXC_GUARD => (exception.code, upper_half(code)),
        _ => unchanged,
    }
}

/// What an `EXC_CRASH` with this first code was before: bits 0 to 19 the code, 20 to 23 the type, 24 to 31 the signal.
/// `None` for types that the kernel never wraps so.
fn unwrapped(code: u64) -> Option<(u32, u32)> {
    let kind = u32::try_from(code >> 20 & 0xf).ok()?;
    let signal = code >> 24 & 0xff;
    match kind {
        0 if signal == SIGABRT => Some((EXC_SOFTWARE, SOFT_SIGABRT)),
        0 => Some((EXC_SOFTWARE, SOFT_SIGNAL)),
        EXC_CRASH.. => None,
        _ => Some((kind, u32::try_from(code & 0xf_ffff).ok()?)),
    }
}

fn upper_half(code: u64) -> u32 {
    let [_, _, _, _, b4, b5, b6, b7] = code.to_le_bytes();
    u32::from_le_bytes([b4, b5, b6, b7])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(code: u32, flags: u32, parameters: &[u64]) -> (u32, u32) {
        let parameters = parameters.to_vec();
        code_and_flags(&Exception { thread: 1, code, flags, address: 0, parameters })
    }

    #[test]
    fn a_crash_is_what_it_wraps() {
        assert_eq!(mapped(10, 0x0b10_0001, &[10, 0x0b10_0001, 1]), (1, 1));
        assert_eq!(mapped(10, 0x0600_0000, &[10, 0x0600_0000, 0]), (5, 0x1_0002));
        assert_eq!(mapped(10, 0x0900_0000, &[10, 0x0900_0000, 0]), (5, 0x1_0003));
        assert_eq!(mapped(10, 0x00b0_0001, &[10, 0x00b0_0001, 0]), (10, 0x00b0_0001));
        assert_eq!(mapped(10, 7, &[]), (10, 7));
    }

    #[test]
    fn resource_and_guard_tell_their_kind_in_the_upper_half() {
        assert_eq!(mapped(11, 0x1e, &[11, 0x2200_0000_0000_001e, 7]), (11, 0x2200_0000));
        assert_eq!(mapped(12, 0x603, &[12, 0x2000_0001_0000_0603, 0x10]), (12, 0x2000_0001));
        assert_eq!(mapped(12, 0x4000_0000, &[]), (12, 0x4000_0000));
    }

    #[test]
    fn others_are_told_as_they_are() {
        assert_eq!(mapped(1, 2, &[10, 0x0b10_0001, 1]), (1, 2));
        assert_eq!(mapped(5, 0xdead_c0de, &[5, 0]), (5, 0xdead_c0de));
    }
}
