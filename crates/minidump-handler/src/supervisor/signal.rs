//! A signal and where it is from.

use libc::{c_int, pid_t};

/// Fields of a `siginfo_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// `si_signo`.
    pub number: c_int,
    /// `si_code`.
    code: c_int,
    /// `si_pid`, where a process has sent it.
    sender: pid_t,
}

impl Signal {
    /// Takes them from the beginning of a `siginfo_t`: `si_signo`, `si_errno`, `si_code`, four bytes of padding, and `si_pid`
    /// of signals that a process has sent (include/uapi/asm-generic/siginfo.h, 64 bits).
    pub fn of(info: &[u8; 128]) -> Self {
        let field = |at: usize| {
            let bytes = info.get(at..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| c_int::from_ne_bytes(*bytes))
        };
        let code = field(8);
        Self { number: field(0), code, sender: if code <= 0 { field(16) } else { 0 } }
    }

    /// Whether a process, rather than the kernel, has sent it: its code is not positive then (sigaction(2)).
    pub fn is_sent(self) -> bool {
        self.code <= 0
    }

    /// The process that has sent it, if one has.
    pub fn sender(self) -> Option<pid_t> {
        self.is_sent().then_some(self.sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(number: c_int, code: c_int, sender: pid_t) -> Signal {
        let mut info = [0; 128];
        for (at, value) in [(0, number), (8, code), (16, sender)] {
            info[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        Signal::of(&info)
    }

    #[test]
    fn the_sender_counts_only_where_there_is_one() {
        let sent = signal(libc::SIGTERM, libc::SI_USER, 77);
        assert_eq!((sent.number, sent.sender()), (libc::SIGTERM, Some(77)));
        let kernel = signal(libc::SIGHUP, libc::SI_KERNEL, 77);
        assert_eq!((kernel.is_sent(), kernel.sender()), (false, None));
        assert_eq!(kernel, signal(libc::SIGHUP, libc::SI_KERNEL, 78));
    }

    #[test]
    fn what_a_process_has_sent_is_known_by_its_code() {
        let is_sent = |code| signal(libc::SIGSEGV, code, 1).is_sent();
        assert!(is_sent(libc::SI_USER) && is_sent(libc::SI_TKILL));
        assert!(!is_sent(1) && !is_sent(0x80));
    }
}
