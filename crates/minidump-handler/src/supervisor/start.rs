//! Starts the command, traced from its first instruction on.
#![allow(unsafe_code)]

use super::inherited::Inherited;
use super::trace;
use libc::{c_char, c_int, pid_t, sigset_t};
use std::ffi::{CString, OsString};
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;

/// Exit code of a child that could not become the command. Nobody sees it.
const NO_COMMAND: c_int = 127;

/// Why it could not be started.
#[derive(Debug)]
pub enum Failure {
    /// There is no process for it.
    Start(io::Error),
    /// It may not be traced.
    Trace(io::Error),
}

/// A command that has been started, or is about to fail to.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub root: pid_t,
    /// What exec said if it failed; closed by exec if it did not.
    failure: PipeReader,
}

impl Started {
    /// Whether the process has become the command. Waits until it has, or has ended.
    pub fn outcome(mut self) -> io::Result<()> {
        let mut code = [0; size_of::<c_int>()];
        match self.failure.read_exact(&mut code) {
            Ok(()) => Err(io::Error::from_raw_os_error(c_int::from_ne_bytes(code))),
            Err(_) => Ok(()),
        }
    }
}

/// Starts `command`, a program and its arguments, with `mask` as its signal mask and what this process was started
/// with. The calling thread traces it.
pub fn start(command: &[OsString], mask: &sigset_t) -> Result<Started, Failure> {
    let words: Result<Vec<CString>, _> = command.iter().map(|word| CString::new(word.as_bytes())).collect();
    let words = words.map_err(|error| Failure::Start(error.into()))?;
    let mut argv: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
    argv.push(std::ptr::null());
    let (wait_for_go, mut go) = io::pipe().map_err(Failure::Start)?;
    let (failure, tell_failure) = io::pipe().map_err(Failure::Start)?;
    // SAFETY: the child makes async-signal-safe calls only, until exec or _exit.
    let root = unsafe { libc::fork() };
    if root == 0 {
        // The parent's end: should the parent die, the wait ends.
        // SAFETY: this process's own copy of a descriptor that it does not use.
        unsafe { libc::close(go.as_raw_fd()) };
        become_command(
            &argv,
            mask,
            Inherited::by_this_process(),
            wait_for_go.as_raw_fd(),
            tell_failure.as_raw_fd(),
        );
    }
    if root < 0 {
        return Err(Failure::Start(io::Error::last_os_error()));
    }
    drop((wait_for_go, tell_failure));
    // Without a word to go on, the child ends when the pipe is closed.
    trace::seize(root).map_err(Failure::Trace)?;
    go.write_all(&[1]).map_err(Failure::Start)?;
    Ok(Started { root, failure })
}

/// In the child. `argv` ends with a null pointer and has a program.
fn become_command(
    argv: &[*const c_char],
    mask: &sigset_t,
    inherited: Inherited,
    wait_for_go: c_int,
    tell_failure: c_int,
) -> ! {
    let mut word = 0_u8;
    // SAFETY: all calls are async-signal-safe; `word` and `mask` are live; `argv` is a list of live C strings that ends
    // with a null pointer, and `code` is live and as large as said.
    unsafe {
        if libc::read(wait_for_go, (&raw mut word).cast(), 1) != 1 {
            libc::_exit(NO_COMMAND);
        }
        inherited.put_back();
        libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut());
        if let Some(program) = argv.first().filter(|program| !program.is_null()) {
            libc::execvp(*program, argv.as_ptr());
        }
        let code = *libc::__errno_location();
        libc::write(tell_failure, (&raw const code).cast(), size_of::<c_int>());
        libc::_exit(NO_COMMAND)
    }
}
