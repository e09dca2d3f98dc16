//! What an exception is called, and how this program ends as its command did.

use crate::exit::{Code, FAILED};
use crate::show::reason;
use minidump::format::{MINIDUMP_EXCEPTION, MINIDUMP_EXCEPTION_STREAM, MINIDUMP_LOCATION_DESCRIPTOR};
use minidump::system_info::{Cpu, Os};
use minidump_handler::store::Metadata;
use minidump_handler::supervisor::Death;
use minidump_writer::snapshot::Exception;
use std::process::ExitStatus;

/// `EXCEPTION_ACCESS_VIOLATION` and `EXCEPTION_IN_PAGE_ERROR` (winnt.h), the second parameter of which is the address that
/// was touched.
const TOUCHING: [u32; 2] = [0xc000_0005, 0xc000_0006];

/// Why the process dies, in the words of `show`, such as `EXCEPTION_ACCESS_VIOLATION_WRITE at 0x0`.
pub fn reason(death: &Death) -> String {
    let exception = &death.exception;
    format!("{} at {:#x}", name(exception), place(exception))
}

fn place(exception: &Exception) -> u64 {
    let touched = exception.parameters.get(1).filter(|_| TOUCHING.contains(&exception.code));
    touched.copied().unwrap_or(exception.address)
}

/// Puts down why it dies. There are no signals here.
pub fn describe(death: &Death, metadata: &mut Metadata) {
    metadata.reason = reason(death);
}

/// Whether the thread that it began with has crashed.
pub fn is_in_first_thread(death: &Death) -> bool {
    death.is_in_first_thread
}

/// The exit code of the command, all 32 bits of it.
pub fn end(status: ExitStatus) -> Code {
    status.code().map_or(FAILED, i32::cast_unsigned)
}

fn name(exception: &Exception) -> String {
    let mut parameters = [0; 15];
    parameters.iter_mut().zip(&exception.parameters).for_each(|(to, from)| *to = *from);
    let exception_record = MINIDUMP_EXCEPTION {
        exception_code: exception.code,
        exception_flags: exception.flags,
        exception_record: 0,
        exception_address: exception.address,
        number_parameters: u32::try_from(exception.parameters.len()).unwrap_or(0),
        __align: 0,
        exception_information: parameters,
    };
    let thread_context = MINIDUMP_LOCATION_DESCRIPTOR { data_size: 0, rva: 0 };
    let told = MINIDUMP_EXCEPTION_STREAM {
        thread_id: exception.thread,
        __align: 0,
        exception_record,
        thread_context,
    };
    reason::reason(&told, Os::Windows, Cpu::X86_64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::windows::process::ExitStatusExt as _;

    #[test]
    fn an_exception_is_where_memory_was_touched_or_where_the_code_is() {
        let told = |code, parameters: &[u64]| {
            place(&Exception { thread: 5, code, flags: 0, address: 7, parameters: parameters.into() })
        };
        assert_eq!((told(0xc000_0005, &[1, 0x10]), told(0xc000_0006, &[0, 0x20, 3])), (0x10, 0x20));
        assert_eq!((told(0xc000_0005, &[1]), told(0xc000_0409, &[7, 9])), (7, 7));
    }

    #[test]
    fn an_exception_is_called_as_show_calls_it() {
        let told = |code, parameters: &[u64]| {
            name(&Exception { thread: 5, code, flags: 0, address: 7, parameters: parameters.into() })
        };
        assert_eq!(told(0xc000_0005, &[1, 0x10]), "EXCEPTION_ACCESS_VIOLATION_WRITE");
        assert_eq!(told(0xc000_0409, &[7]), "EXCEPTION_STACK_BUFFER_OVERRUN / FAST_FAIL_FATAL_APP_EXIT");
        assert_eq!(told(0xe000_1234, &[]), "unknown 0xe0001234");
    }

    #[test]
    fn the_exit_code_has_all_its_bits() {
        assert_eq!(end(ExitStatus::from_raw(0xc000_0005)), 0xc000_0005);
        assert_eq!(end(ExitStatus::from_raw(3)), 3);
    }
}
