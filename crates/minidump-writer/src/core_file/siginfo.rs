//! `NT_SIGINFO`: `siginfo_t` of <asm-generic/siginfo.h>.

use crate::convert::words::{u32_at, u64_at};
use crate::snapshot::{Exception, Thread};

/// Where the part begins that depends on the signal.
const DETAILS: usize = 16;

const SIGILL: u32 = 4;
const SIGTRAP: u32 = 5;
const SIGBUS: u32 = 7;
const SIGFPE: u32 = 8;
const SIGSEGV: u32 = 11;
const SIGSTOP: u32 = 19;
const SIGCONT: u32 = 18;
/// The largest of SIGTSTP, SIGTTIN, SIGTTOU, which follow SIGSTOP.
const LAST_STOP: u32 = 22;
const SIGSYS: u32 = 31;
/// `si_code`.
const SYS_SECCOMP: i32 = 1;
const SI_KERNEL: i32 = 0x80;
const SENT: [i32; 2] = [0, -6];
const SENT_WITH_VALUE: [i32; 2] = [-1, -3];

/// Why the process died, from the description of the signal (if there is one) or its mere number. `None` for the signals
/// by which a debugger or a shell stops a process: that is no crash.
///
/// The parameters are those that `crash::from_crash_context` tells of, up to the first that
/// `siginfo_t` does not have.
pub fn exception(signal: u16, siginfo: Option<&[u8]>, thread: &Thread) -> Option<Exception> {
    let field = |at| siginfo.and_then(|bytes| u32_at(bytes, at));
    let number = field(0).filter(|number| *number != 0).unwrap_or(signal.into());
    if number == 0 || number == SIGCONT || (SIGSTOP..=LAST_STOP).contains(&number) {
        return None;
    }
    let ip = thread.instruction_pointer().unwrap_or(0);
    let Some((bytes, code)) = siginfo.zip(field(8)) else {
        return Some(Exception {
            thread: thread.id,
            code: number,
            flags: 0,
            address: ip,
            parameters: vec![],
        });
    };
    let (details, about) = details(number, code.cast_signed(), bytes);
    let mut parameters = vec![i64::from(code.cast_signed()).cast_unsigned()];
    parameters.extend(details);
    Some(Exception { thread: thread.id, code: number, flags: code, address: about.unwrap_or(ip), parameters })
}

/// The parameters behind the code, and the address that the signal is about.
fn details(signal: u32, code: i32, bytes: &[u8]) -> (Vec<u64>, Option<u64>) {
    let half = |at| u32_at(bytes, at).map_or(0, u64::from);
    let first = u64_at(bytes, DETAILS).unwrap_or(0);
    match signal {
        SIGSYS if code == SYS_SECCOMP => (vec![first, half(DETAILS + 8), half(DETAILS + 12)], Some(first)),
        SIGILL | SIGTRAP | SIGBUS | SIGFPE | SIGSEGV if code > 0 => {
            let about_memory = matches!(signal, SIGSEGV | SIGBUS);
            (vec![first], Some(first).filter(|_| about_memory || code != SI_KERNEL))
        }
        _ if SENT.contains(&code) => (vec![half(DETAILS), half(DETAILS + 4)], None),
        _ if SENT_WITH_VALUE.contains(&code) => {
            (vec![half(DETAILS), half(DETAILS + 4), u64_at(bytes, DETAILS + 8).unwrap_or(0)], None)
        }
        _ => (Vec::new(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn siginfo(words: &[u32]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(128, 0);
        bytes
    }

    fn exception_of(signal: u16, words: &[u32]) -> Option<Exception> {
        let bytes = siginfo(words);
        let mut thread = Thread::new(7);
        thread.fallback_sp_ip = Some((0x7000, 0x4000));
        exception(signal, Some(&bytes), &thread)
    }

    #[test]
    fn a_fault_is_about_its_address() {
        let found = exception_of(11, &[11, 0, 1, 0, 0xdead_0000, 1]).unwrap();
        assert_eq!((found.thread, found.code, found.flags, found.address), (7, 11, 1, 0x1_dead_0000));
        assert_eq!(found.parameters, [1, 0x1_dead_0000]);
    }

    #[test]
    fn an_abort_is_about_the_instruction_and_names_its_sender() {
        let found = exception_of(6, &[6, 0, (-6_i32).cast_unsigned(), 0, 4242, 1000]).unwrap();
        assert_eq!((found.code, found.address), (6, 0x4000));
        assert_eq!(found.parameters, [(-6_i64).cast_unsigned(), 4242, 1000]);
    }

    #[test]
    fn a_stop_is_no_crash() {
        assert_eq!(exception_of(19, &[19, 0, 0, 0]), None);
        assert_eq!(exception(0, None, &Thread::new(1)), None);
    }

    #[test]
    fn without_a_description_the_number_of_the_signal_is_all() {
        let found = exception(11, None, &Thread::new(1)).unwrap();
        assert_eq!((found.code, found.flags, found.parameters), (11, 0, vec![]));
    }
}
