//! Why a process crashed, in the words of its system, such as `SIGSEGV / SEGV_MAPERR`.
//!
//! They are those of `minidump`'s `CrashReason`, which the tests compare them with. Its own text brings along the names of
//! five thousand status codes of Windows, a fifteenth of the static program; here those of exceptions are known, and another
//! code of Windows stands as a number.

mod apple;
mod windows;

use minidump::CrashReason;
use minidump::format::MINIDUMP_EXCEPTION_STREAM;
use minidump::system_info::{Cpu, Os};
use minidump_common::errors::{ExceptionCodeLinux, ExceptionCodeLinuxSicode};
use num_traits::FromPrimitive as _;
use std::fmt::Debug;

/// The reason that an exception stream tells.
pub fn reason(raw: &MINIDUMP_EXCEPTION_STREAM, os: Os, cpu: Cpu) -> String {
    let record = &raw.exception_record;
    let (code, flags) = (record.exception_code, record.exception_flags);
    let found = match os {
        Os::MacOs | Os::Ios => CrashReason::from_mac_exception(raw, cpu).and_then(apple::reason),
        Os::Linux | Os::Android => CrashReason::from_linux_exception(raw, cpu).and_then(linux),
        Os::Windows => Some(windows::reason(record)),
        _ => None,
    };
    found.unwrap_or_else(|| format!("unknown {code:#010x} / {flags:#010x}"))
}

/// Signal and `si_code`.
fn linux(reason: CrashReason) -> Option<String> {
    Some(match reason {
        CrashReason::LinuxGeneral(signal, code) => any_signal(signal, code),
        CrashReason::LinuxSigill(code) => kind_of("SIGILL", &code),
        CrashReason::LinuxSigtrap(code) => kind_of("SIGTRAP", &code),
        CrashReason::LinuxSigbus(code) => kind_of("SIGBUS", &code),
        CrashReason::LinuxSigfpe(code) => kind_of("SIGFPE", &code),
        CrashReason::LinuxSigsegv(code) => kind_of("SIGSEGV", &code),
        CrashReason::LinuxSigsys(code) => kind_of("SIGSYS", &code),
        _ => return None,
    })
}

/// With a code that any signal may have. That somebody sent it goes without saying.
fn any_signal(signal: ExceptionCodeLinux, code: u32) -> String {
    match ExceptionCodeLinuxSicode::from_i32(code.cast_signed()) {
        Some(ExceptionCodeLinuxSicode::SI_USER) => format!("{signal:?}"),
        Some(code) => format!("{signal:?} / {code:?}"),
        None => format!("{signal:?} / {code:#010x}"),
    }
}

fn kind_of(exception: &str, kind: &dyn Debug) -> String {
    format!("{exception} / {kind:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An exception with a code, flags and parameters.
    pub fn exception(code: u32, flags: u32, parameters: &[u64]) -> MINIDUMP_EXCEPTION_STREAM {
        use scroll::Pread as _;
        let mut raw: MINIDUMP_EXCEPTION_STREAM = [0_u8; 512].pread_with(0, scroll::LE).unwrap();
        let record = &mut raw.exception_record;
        (record.exception_code, record.exception_flags) = (code, flags);
        record.number_parameters = u32::try_from(parameters.len()).unwrap();
        record.exception_information[..parameters.len()].copy_from_slice(parameters);
        raw
    }

    #[test]
    fn signals_are_called_as_by_other_readers() {
        let codes = (-80..150_i32).map(i32::cast_unsigned).chain([u32::MAX, 0x7fff_ffff]);
        for (signal, code) in codes.flat_map(|code| (0..70).map(move |signal| (signal, code))) {
            let raw = exception(signal, code, &[]);
            let theirs = CrashReason::from_linux_exception(&raw, Cpu::X86_64);
            let theirs = theirs.unwrap_or(CrashReason::Unknown(signal, code)).to_string();
            assert_eq!(reason(&raw, Os::Linux, Cpu::X86_64), theirs);
        }
        assert_eq!(reason(&exception(11, 1, &[]), Os::Android, Cpu::Arm64), "SIGSEGV / SEGV_MAPERR");
        assert_eq!(reason(&exception(6, 0, &[]), Os::Linux, Cpu::Arm64), "SIGABRT");
    }

    #[test]
    fn exceptions_of_an_unknown_system_are_numbers() {
        let told = reason(&exception(11, 1, &[]), Os::Solaris, Cpu::X86_64);
        assert_eq!(told, "unknown 0x0000000b / 0x00000001");
    }
}
