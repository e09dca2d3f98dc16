//! What this process was started with and the command is to be started with, too, although the start of a Rust program
//! changes it; and what the supervisor does not keep of it.
#![allow(unsafe_code)]

use libc::c_int;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

/// Standard input, output and error: the start of a Rust program opens `/dev/null` for those that are closed.
const STANDARD: [c_int; 3] = [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO];
/// SIGPIPE was ignored: the start of a Rust program ignores it in any case.
const PIPE_IGNORED: u8 = 1 << 3;

/// Bit N: descriptor N was closed; and [`PIPE_IGNORED`].
static AT_START: AtomicU8 = AtomicU8::new(0);

/// The dynamic or static loader calls what stands in this section before `main` (System V ABI, "Initialization and
/// Termination Functions"), and so before Rust's own start.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn() = note;

extern "C" fn note() {
    let closed = |descriptor: &&c_int| {
        // SAFETY: F_GETFD takes no further argument and changes nothing.
        unsafe { libc::fcntl(**descriptor, libc::F_GETFD) == -1 }
    };
    let mut seen = STANDARD.iter().filter(closed).fold(0, |bits, descriptor| bits | 1_u8 << descriptor);
    // SAFETY: all zeros is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action the call only fills the live `action`.
    let told = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut action) };
    if told == 0 && action.sa_sigaction == libc::SIG_IGN {
        seen |= PIPE_IGNORED;
    }
    AT_START.store(seen, Ordering::Relaxed);
}

/// What the command is to find as this process found it.
#[derive(Debug, Clone, Copy)]
pub struct Inherited(u8);

impl Inherited {
    /// As this process was started.
    pub fn by_this_process() -> Self {
        Self(AT_START.load(Ordering::Relaxed))
    }

    /// In a forked child: puts it back. Async-signal-safe.
    pub fn put_back(self) {
        for descriptor in STANDARD.into_iter().filter(|descriptor| self.0 & 1_u8 << descriptor != 0) {
            // SAFETY: the child's own copy, which nothing in it refers to.
            unsafe { libc::close(descriptor) };
        }
        if self.0 & PIPE_IGNORED == 0 {
            // SAFETY: no handler is installed.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        }
    }
}

/// Gives up all open files that a command inherits, standard error only if that is said: who waits for the end of a pipe is to see it when
/// the command has closed its own, and not when the supervisor ends.
pub fn give_up_files(standard_error_too: bool) {
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<c_int> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let null = File::options().read(true).write(true).open(Path::new("/dev/null"));
    for descriptor in
        open.into_iter().filter(|descriptor| standard_error_too || *descriptor != libc::STDERR_FILENO)
    {
        // SAFETY: F_GETFD takes no further argument and changes nothing.
        let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
        if flags == -1 || flags & libc::FD_CLOEXEC != 0 {
            continue;
        }
        match &null {
            // Numbers of standard streams stay taken, so that no file of this process gets them.
            // SAFETY: two descriptors; nothing of the standard library owns the second.
            Ok(null) if descriptor <= libc::STDERR_FILENO => unsafe {
                libc::dup2(null.as_raw_fd(), descriptor);
            },
            Err(_) if descriptor <= libc::STDERR_FILENO => {}
            // SAFETY: what this process opens itself is closed by exec, so nothing of it owns this one.
            _ => unsafe {
                libc::close(descriptor);
            },
        }
    }
}
