//! What a signal is called, and how this program ends as its command did.

use crate::exit::Code;
use minidump_handler::store::Metadata;
use minidump_handler::supervisor::{Death, end_by_interrupt};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// What shells add to the number of the signal that has killed a command.
const SIGNALLED: i32 = 128;

/// Why the process dies, such as `SIGSEGV at 0x0`.
pub fn reason(death: &Death) -> String {
    format!("{} at {:#x}", death.signal_name(), death.exception.address)
}

/// Puts down why it dies.
pub fn describe(death: &Death, metadata: &mut Metadata) {
    metadata.reason = reason(death);
    metadata.signal = Some(death.signal);
}

/// Whether the thread that it began with has crashed.
pub fn is_in_first_thread(death: &Death) -> bool {
    death.pid == death.tid
}

/// Ends this program as the command has ended, where no exit code tells that; returns the exit code.
pub fn end(status: ExitStatus) -> Code {
    end_by_interrupt(status);
    code(status)
}

/// What a shell would make of the status.
fn code(status: ExitStatus) -> Code {
    let code = status.code().or_else(|| Some(SIGNALLED + status.signal()?)).unwrap_or(i32::from(u8::MAX));
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_a_shell() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(11)), 139);
        assert_eq!(code(ExitStatus::from_raw(0x8b)), 139);
    }
}
