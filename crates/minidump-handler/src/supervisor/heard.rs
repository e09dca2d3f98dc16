//! What the command has heard of signals, so that one which is sent to its whole process group, and therefore to the
//! supervisor as well, does not come to it a second time.

use libc::{c_int, pid_t};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A signal to a group reaches all its processes within this time.
const SAME: Duration = Duration::from_secs(1);
/// How long the supervisor waits to hear that the command has got a signal, before it passes its own one on.
const PATIENCE: Duration = Duration::from_millis(20);
/// So many are remembered.
const MOST: usize = 64;

/// A signal and where it is from: fields of `siginfo_t`.
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
    /// The beginning of a `siginfo_t`: `si_signo`, `si_errno`, `si_code`, four bytes of padding, and `si_pid` of signals that
    /// a process has sent (include/uapi/asm-generic/siginfo.h, 64 bits).
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

    /// Whether others of the process group may have got it, too: what processes send, and a hangup, after which the kernel
    /// lets stopped processes go on.
    pub fn may_be_for_group(self) -> bool {
        self.is_sent() || [libc::SIGHUP, libc::SIGCONT].contains(&self.number)
    }

    /// The process that has sent it, if one has.
    pub fn sender(self) -> Option<pid_t> {
        self.is_sent().then_some(self.sender)
    }
}

/// What the command has heard lately.
#[derive(Debug, Default)]
pub struct Heard {
    signals: Mutex<VecDeque<(Signal, Instant)>>,
    more: Condvar,
}

impl Heard {
    /// The command is getting this signal.
    pub fn note(&self, signal: Signal) {
        let mut signals = self.lock();
        if signals.len() == MOST {
            signals.pop_front();
        }
        signals.push_back((signal, Instant::now()));
        self.more.notify_all();
    }

    /// Whether the command gets, or has just got, what the supervisor has now got. Each one counts once.
    pub fn has(&self, signal: Signal) -> bool {
        let now = Instant::now();
        let same = |(heard, at): &(Signal, Instant)| {
            *heard == signal && now.max(*at).duration_since(now.min(*at)) < SAME
        };
        let not_heard = |signals: &mut VecDeque<_>| !signals.iter().any(same);
        let waited = self.more.wait_timeout_while(self.lock(), PATIENCE, not_heard);
        let (mut signals, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let found = signals.iter().position(same);
        found.and_then(|index| signals.remove(index)).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Signal, Instant)>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn each_signal_that_the_command_has_heard_counts_once() {
        let heard = Heard::default();
        let term = signal(libc::SIGTERM, libc::SI_USER, 77);
        heard.note(term);
        assert!(!heard.has(signal(libc::SIGTERM, libc::SI_USER, 78)));
        assert!(!heard.has(signal(libc::SIGHUP, libc::SI_USER, 77)));
        assert!(heard.has(term));
        assert!(!heard.has(term));
    }

    #[test]
    fn only_the_latest_are_remembered() {
        let heard = Heard::default();
        for sender in 1..100 {
            heard.note(signal(libc::SIGTERM, libc::SI_USER, sender));
        }
        assert_eq!(heard.lock().len(), MOST);
        assert!(heard.has(signal(libc::SIGTERM, libc::SI_USER, 99)));
        assert!(!heard.has(signal(libc::SIGTERM, libc::SI_USER, 1)));
    }
}
