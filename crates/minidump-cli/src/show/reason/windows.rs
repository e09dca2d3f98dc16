//! Exceptions of Windows.

use minidump::format::MINIDUMP_EXCEPTION;
use minidump_common::errors::{
    ExceptionCodeWindows, ExceptionCodeWindowsAccessType, ExceptionCodeWindowsInPageErrorType, FastFailCode,
};
use num_traits::FromPrimitive as _;

/// `STATUS_STACK_BUFFER_OVERRUN` (ntstatus.h), with which `__fastfail` ends a process: the first parameter tells why.
const FAST_FAIL: u32 = 0xc000_0409;

/// The name of the exception, and what its parameters tell.
pub fn reason(record: &MINIDUMP_EXCEPTION) -> String {
    let code = record.exception_code;
    let count = usize::try_from(record.number_parameters).unwrap_or(usize::MAX);
    let parameters = record.exception_information.get(..count).unwrap_or(&record.exception_information);
    match (ExceptionCodeWindows::from_u32(code), parameters) {
        (Some(ExceptionCodeWindows::OUT_OF_MEMORY), _) => "Out of Memory".into(),
        (Some(ExceptionCodeWindows::UNHANDLED_CPP_EXCEPTION), _) => "Unhandled C++ Exception".into(),
        (Some(ExceptionCodeWindows::SIMULATED), _) => "Simulated Exception".into(),
        (Some(found), parameters) => touching(found, parameters).unwrap_or_else(|| format!("{found:?}")),
        (None, [why, ..]) if code == FAST_FAIL => {
            let why = why & 0xffff_ffff;
            let name = FastFailCode::from_u64(why);
            let name = name.map_or_else(|| format!("{why:#010x}"), |name| format!("{name:?}"));
            format!("EXCEPTION_STACK_BUFFER_OVERRUN / {name}")
        }
        (None, _) => format!("unknown {code:#010x}"),
    }
}

/// An exception that came of touching memory: how it was touched, then its address, then why a page could not be had.
fn touching(exception: ExceptionCodeWindows, parameters: &[u64]) -> Option<String> {
    match (exception, parameters) {
        (ExceptionCodeWindows::EXCEPTION_ACCESS_VIOLATION, [access, ..]) => {
            let access = ExceptionCodeWindowsAccessType::from_u64(*access)?;
            Some(format!("EXCEPTION_ACCESS_VIOLATION_{access:?}"))
        }
        (ExceptionCodeWindows::EXCEPTION_IN_PAGE_ERROR, [access, _, status, ..]) => {
            let access = ExceptionCodeWindowsInPageErrorType::from_u64(*access)?;
            Some(format!("EXCEPTION_IN_PAGE_ERROR_{access:?} / {:#010x}", status & 0xffff_ffff))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::reason;
    use super::super::tests::exception;
    use minidump::CrashReason;
    use minidump::system_info::{Cpu, Os};

    fn told(code: u32, parameters: &[u64]) -> String {
        reason(&exception(code, 0, parameters), Os::Windows, Cpu::X86_64)
    }

    #[test]
    fn exceptions_are_called_as_by_other_readers() {
        let codes = (0x8000_0000..0x8000_0010).chain(0xc000_0000..0xc000_0200);
        let codes =
            codes.chain([0xe000_0008, 0xe06d_7363, 0xe043_4352, 0x0517_a7ed, 0xc000_0409, 0xffff_fff0]);
        for (code, access) in codes.flat_map(|code| [0, 1, 8, 9].map(|access| (code, access))) {
            let raw = exception(code, 0, &[access, 0x10, 0xffff_fff1]);
            let theirs = CrashReason::from_windows_exception(&raw, Cpu::X86_64).unwrap();
            if !matches!(theirs, CrashReason::WindowsNtStatus(_) | CrashReason::WindowsWinError(_)) {
                assert_eq!(reason(&raw, Os::Windows, Cpu::X86_64), theirs.to_string());
            }
        }
    }

    #[test]
    fn parameters_tell_more_where_they_are_there() {
        assert_eq!(told(0xc000_0005, &[1, 0x10]), "EXCEPTION_ACCESS_VIOLATION_WRITE");
        assert_eq!(told(0xc000_0005, &[]), "EXCEPTION_ACCESS_VIOLATION");
        assert_eq!(told(0xc000_0006, &[0, 0x10, 0xc000_009a]), "EXCEPTION_IN_PAGE_ERROR_READ / 0xc000009a");
        assert_eq!(told(0xc000_0409, &[3]), "EXCEPTION_STACK_BUFFER_OVERRUN / FAST_FAIL_CORRUPT_LIST_ENTRY");
        assert_eq!(told(0xc000_0374, &[]), "unknown 0xc0000374");
    }
}
