//! Whether a signal kills a process, and what is known of its death.

use super::signal::Signal;
use super::trace;
use crate::signals::CORE;
use libc::{c_int, pid_t};
use minidump_writer::snapshot::{Crash, Exception};
use minidump_writer::{DumpOptions, DumpReport, Error, crash, dump_stopped};
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// Whether a process that the signal kills has crashed, rather than been told to end.
pub fn dumps_core(signal: c_int) -> bool {
    CORE.iter().any(|(number, _)| *number == signal)
}

/// The death of a process that is about to come.
#[derive(Debug, Clone)]
pub struct Death {
    /// The process.
    pub pid: pid_t,
    /// The thread that crashed.
    pub tid: pid_t,
    /// The signal.
    pub signal: c_int,
    /// Why it comes.
    pub exception: Exception,
    /// It is the first process of a pid namespace.
    is_first: bool,
}

impl Death {
    /// The name of the signal.
    #[must_use]
    pub fn signal_name(&self) -> &'static str {
        CORE.iter().find(|(number, _)| *number == self.signal).map_or("a signal", |(_, name)| name)
    }

    /// The death by a signal that thread `tid` is about to get, with this `siginfo_t`; `None` when it is not going to kill
    /// the process.
    pub(super) fn by_signal(pid: pid_t, tid: pid_t, signal: c_int, info: [u8; 128]) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).unwrap_or_default();
        if !is_fatal(&status, signal, Signal::of(&info).is_sent()) {
            return None;
        }
        let ip = trace::instruction_pointer(tid).unwrap_or(0);
        let exception = crash::from_siginfo(tid.unsigned_abs(), info, ip);
        Some(Self { pid, tid, signal, exception, is_first: is_first(&status) })
    }

    /// A death that no signal has announced.
    pub(super) fn at_exit(pid: pid_t, tid: pid_t, signal: c_int) -> Self {
        let exception = Exception {
            thread: tid.unsigned_abs(),
            code: signal.unsigned_abs(),
            flags: 0,
            address: trace::instruction_pointer(tid).unwrap_or(0),
            parameters: Vec::new(),
        };
        Self { pid, tid, signal, exception, is_first: false }
    }

    /// Whether the kernel does not let it die as long as it is traced: of the first process of a namespace it gives up the
    /// protection against signals only where nobody traces it (`force_sig_info_to_task` in kernel/signal.c), and so the
    /// fault would come again and again.
    pub(super) fn survives_while_traced(&self) -> bool {
        self.is_first
    }
}

/// Whether the signal takes its default action. When the processor raises one that is blocked or ignored, the kernel has
/// taken the handler away by now. `status` is the text of /proc/PID/status.
fn is_fatal(status: &str, signal: c_int, sent: bool) -> bool {
    // The first process of a namespace gets no signal from others that it does not handle (pid_namespaces(7)).
    let is_protected = is_first(status) && sent;
    !is_protected && !is_in(status, ["SigIgn:", "SigCgt:"], signal)
}

/// Whether the signal is in one of these sets of /proc/PID/status.
fn is_in(status: &str, sets: [&str; 2], signal: c_int) -> bool {
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let set = |key: &str| u64::from_str_radix(field(key).unwrap_or("0"), 16).unwrap_or(0);
    let bit = u32::try_from(signal - 1).ok().and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0);
    sets.iter().any(|key| set(key) & bit != 0)
}

/// Whether the signal has come to a thread, or to its process, and not taken effect yet.
pub fn is_pending(tid: pid_t, signal: c_int) -> bool {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    is_in(&status, ["SigPnd:", "ShdPnd:"], signal)
}

/// Whether it is the first process of its pid namespace.
fn is_first(status: &str) -> bool {
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.and_then(|ids| ids.split_ascii_whitespace().last()) == Some("1")
}

/// A process that stands still because it is about to die.
#[derive(Debug)]
pub struct Crashed<'s> {
    death: &'s Death,
    stopped: &'s [pid_t],
}

impl<'s> Crashed<'s> {
    pub(super) fn new(death: &'s Death, stopped: &'s [pid_t]) -> Self {
        Self { death, stopped }
    }

    /// What is known of its death.
    #[must_use]
    pub fn death(&self) -> &Death {
        self.death
    }

    /// Its name, at most 15 bytes.
    #[must_use]
    pub fn name(&self) -> String {
        let name = fs::read(format!("/proc/{}/comm", self.death.pid)).unwrap_or_default();
        String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned()
    }

    /// Its program.
    #[must_use]
    pub fn executable(&self) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/task/{}/exe", self.death.pid, self.death.tid)).ok()
    }

    /// Writes a dump of it. Options that choose the crash or the thread are overruled.
    ///
    /// # Errors
    /// As [`dump_stopped`].
    pub fn dump(&self, options: &DumpOptions, output: &mut dyn Write) -> Result<DumpReport, Error> {
        let mut options = options.clone();
        options.crash = Some(Crash { exception: self.death.exception.clone(), cpu: None });
        options.blamed_thread = None;
        dump_stopped(self.death.pid, self.stopped, &options, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_handled_or_ignored_kills_nobody() {
        let status = |ignored: u64, caught: u64| {
            format!("NSpid:\t7\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n")
        };
        let segv = 1 << (libc::SIGSEGV - 1);
        assert!(is_fatal(&status(0, 0), libc::SIGSEGV, true));
        assert!(is_fatal(&status(!segv, !segv), libc::SIGSEGV, false));
        assert!(!is_fatal(&status(segv, 0), libc::SIGSEGV, true));
        assert!(!is_fatal(&status(0, segv), libc::SIGSEGV, true));
        assert!(is_fatal("", libc::SIGSEGV, true), "rather a dump too many than one too few");
    }

    #[test]
    fn the_first_process_of_a_namespace_survives_what_others_send() {
        let status = "NSpid:\t77\t1\nSigIgn:\t0\nSigCgt:\t0\n";
        assert!(!is_fatal(status, libc::SIGABRT, true));
        assert!(is_fatal(status, libc::SIGSEGV, false));
        assert!(is_fatal("NSpid:\t1\t77\n", libc::SIGABRT, true));
    }

    #[test]
    fn being_told_to_end_is_no_crash() {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGKILL, libc::SIGHUP, libc::SIGPIPE, libc::SIGALRM]
        {
            assert!(!dumps_core(signal));
        }
        assert!(dumps_core(libc::SIGSEGV) && dumps_core(libc::SIGSYS));
    }
}
