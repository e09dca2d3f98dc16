//! Exceptions of Windows.

use minidump::format::MINIDUMP_EXCEPTION;
use minidump_common::errors::{
    ExceptionCodeWindows, ExceptionCodeWindowsAccessType, ExceptionCodeWindowsInPageErrorType, FastFailCode,
};
use num_traits::FromPrimitive as _;

/// `STATUS_STACK_BUFFER_OVERRUN` (ntstatus.h), with which `__fastfail` ends a process: the first parameter tells why.
const FAST_FAIL: u32 = 0xc000_0409;

/// Status codes (ntstatus.h) that are no exceptions of the processor or of a debugger, and that programs die of.
const STATUSES: &[(u32, &str)] = &[
    (0x4000_0015, "STATUS_FATAL_APP_EXIT"),
    (0xc000_0135, "STATUS_DLL_NOT_FOUND"),
    (0xc000_0138, "STATUS_ORDINAL_NOT_FOUND"),
    (0xc000_0139, "STATUS_ENTRYPOINT_NOT_FOUND"),
    (0xc000_013a, "STATUS_CONTROL_C_EXIT"),
    (0xc000_0142, "STATUS_DLL_INIT_FAILED"),
    (0xc000_0374, "STATUS_HEAP_CORRUPTION"),
    (FAST_FAIL, "STATUS_STACK_BUFFER_OVERRUN"),
    (0xc000_0417, "STATUS_INVALID_CRUNTIME_PARAMETER"),
    (0xc000_041d, "STATUS_FATAL_USER_CALLBACK_EXCEPTION"),
    (0xc000_0420, "STATUS_ASSERTION_FAILURE"),
    (0xc000_0602, "STATUS_FAIL_FAST_EXCEPTION"),
];

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
        (None, _) => status(code).map_or_else(|| format!("unknown {code:#010x}"), str::to_owned),
    }
}

fn status(code: u32) -> Option<&'static str> {
    STATUSES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
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
    use super::STATUSES;
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
    fn statuses_are_called_as_by_other_readers() {
        for (code, name) in STATUSES {
            let theirs = CrashReason::from_windows_exception(&exception(*code, 0, &[]), Cpu::X86_64).unwrap();
            assert_eq!((told(*code, &[]), theirs.to_string()), ((*name).to_owned(), (*name).to_owned()));
        }
    }

    #[test]
    fn parameters_tell_more_where_they_are_there() {
        assert_eq!(told(0xc000_0005, &[1, 0x10]), "EXCEPTION_ACCESS_VIOLATION_WRITE");
        assert_eq!(told(0xc000_0005, &[]), "EXCEPTION_ACCESS_VIOLATION");
        assert_eq!(told(0xc000_0006, &[0, 0x10, 0xc000_009a]), "EXCEPTION_IN_PAGE_ERROR_READ / 0xc000009a");
        assert_eq!(told(0xc000_0409, &[3]), "EXCEPTION_STACK_BUFFER_OVERRUN / FAST_FAIL_CORRUPT_LIST_ENTRY");
        assert_eq!(told(0xc000_0409, &[]), "STATUS_STACK_BUFFER_OVERRUN");
        assert_eq!(told(0xc000_0375, &[]), "unknown 0xc0000375");
    }
}
