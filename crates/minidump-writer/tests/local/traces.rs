//! What a dump could leave behind in the process.

use std::fs;
use std::path::PathBuf;

/// Everything that must be the same afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    descriptors: Vec<(String, PathBuf)>,
    signals: Vec<String>,
    threads: usize,
    dispositions: Vec<(libc::c_int, usize, libc::c_int)>,
    dumpable: libc::c_int,
}

impl Traces {
    /// As it is now, seen by the calling thread.
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let masks = ["SigBlk:", "SigIgn:", "SigCgt:", "SigPnd:", "ShdPnd:", "TracerPid:"];
        let signals = status.lines().filter(|line| masks.iter().any(|mask| line.starts_with(mask)));
        // SAFETY: PR_GET_DUMPABLE takes no more.
        let dumpable = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
        Self {
            descriptors: descriptors(),
            signals: signals.map(str::to_owned).collect(),
            threads: fs::read_dir("/proc/self/task").unwrap().count(),
            dispositions: (1..=64).filter_map(disposition).collect(),
            dumpable,
        }
    }

    /// For processes whose threads come and go.
    pub fn without_threads(self) -> Self {
        Self { threads: 0, ..self }
    }
}

fn descriptors() -> Vec<(String, PathBuf)> {
    let names: Vec<_> = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path()).collect();
    // That of the list itself is closed by now.
    let open = names.into_iter().filter_map(|name| Some((fs::read_link(&name).ok()?, name)));
    let mut open: Vec<_> =
        open.map(|(target, name)| (name.file_name().unwrap().to_str().unwrap().to_owned(), target)).collect();
    open.sort();
    open
}

fn disposition(signal: libc::c_int) -> Option<(libc::c_int, usize, libc::c_int)> {
    // SAFETY: sigaction is plain data, and with no new action the call only fills the old one.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let result = libc::sigaction(signal, std::ptr::null(), &raw mut action);
        (result == 0).then_some((signal, action.sa_sigaction, action.sa_flags))
    }
}

/// Fails when the process has a child, be it a zombie.
#[track_caller]
pub fn assert_childless() {
    // SAFETY: asks for the status of any child; none is wanted.
    let result = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WALL) };
    let error = std::io::Error::last_os_error();
    assert_eq!((result, error.raw_os_error()), (-1, Some(libc::ECHILD)), "a child is left");
}
