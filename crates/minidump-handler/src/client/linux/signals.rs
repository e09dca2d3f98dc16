//! The handlers of the signals that kill, and what becomes of a signal when the crash has been reported.
#![expect(unsafe_code, reason = "signal handlers")]

use super::crash;
use super::message::Signal;
use super::sys;
use crate::signals::CORE;
use libc::{c_int, c_void, pid_t};
use std::cell::UnsafeCell;
use std::io;
use std::mem::zeroed;
use std::ptr;

/// The actions that were there before.
pub struct Previous {
    actions: UnsafeCell<[Option<libc::sigaction>; CORE.len()]>,
}

// SAFETY: they are written once, before the first handler is installed, and only read after that.
unsafe impl Sync for Previous {}
// SAFETY: an action is numbers, and the address of a function.
unsafe impl Send for Previous {}

impl std::fmt::Debug for Previous {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Previous")
    }
}

impl Previous {
    /// Looks up the actions of now. A signal that is ignored is nothing that kills, and stays ignored.
    pub fn look_up() -> Self {
        let actions =
            CORE.map(|(signal, _)| action_of(signal).filter(|action| action.sa_sigaction != libc::SIG_IGN));
        Self { actions: UnsafeCell::new(actions) }
    }

    fn of(&self, signal: c_int) -> Option<&libc::sigaction> {
        let index = CORE.iter().position(|(number, _)| *number == signal)?;
        // SAFETY: nobody writes them any more.
        unsafe { &*self.actions.get() }.get(index)?.as_ref()
    }

    /// Installs the handler for each signal that is not ignored.
    pub fn replace(&self) -> io::Result<()> {
        let ours = ours();
        for (signal, _) in CORE.iter().filter(|(signal, _)| self.of(*signal).is_some()) {
            // SAFETY: the handler stays, and its flags are those of a handler with three arguments.
            if unsafe { libc::sigaction(*signal, &raw const ours, ptr::null_mut()) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// Puts back what was there before, where the handler is still ours.
    pub fn put_back(&self) {
        for (signal, _) in CORE.iter().filter(|(signal, _)| is_ours(*signal)) {
            self.put_back_one(*signal);
        }
    }

    /// Puts back what was there before for one signal: the default where nothing was.
    fn put_back_one(&self, signal: c_int) {
        // SAFETY: all zeros are the default action.
        let default = unsafe { zeroed() };
        let action = self.of(signal).unwrap_or(&default);
        // SAFETY: an action that was in force before, or the default.
        unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
    }

    /// Whether nothing but the end of the process can come of the signal.
    pub fn is_fatal(&self, signal: c_int) -> bool {
        self.of(signal).is_none_or(|action| action.sa_sigaction == libc::SIG_DFL)
    }
}

/// Our own action. Faults of the handler itself must reach it, so it blocks none of those; the rest waits.
fn ours() -> libc::sigaction {
    // SAFETY: all zeros are an action with an empty set of signals, to which some are added.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handler();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        for signal in [libc::SIGQUIT, libc::SIGABRT, libc::SIGXCPU, libc::SIGXFSZ] {
            libc::sigaddset(&raw mut action.sa_mask, signal);
        }
        action
    }
}

fn action_of(signal: c_int) -> Option<libc::sigaction> {
    // SAFETY: all zeros are an action; the call writes one there.
    unsafe {
        let mut action = zeroed();
        (libc::sigaction(signal, ptr::null(), &raw mut action) == 0).then_some(action)
    }
}

fn handler() -> usize {
    on_signal as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize
}

fn is_ours(signal: c_int) -> bool {
    action_of(signal).is_some_and(|action| action.sa_sigaction == handler())
}

/// The handler.
extern "C" fn on_signal(number: c_int, info: *mut libc::siginfo_t, ucontext: *mut c_void) {
    let errno = sys::errno();
    // Code that saves and restores handlers by signal(2) takes the flags away, and with them these arguments. Installed
    // anew, the handler is called again with what it needs.
    let is_whole = action_of(number)
        .is_none_or(|action| action.sa_sigaction != handler() || action.sa_flags & libc::SA_SIGINFO != 0);
    if is_whole {
        crash::handle(&Signal { number, info, ucontext });
    } else {
        reinstall(number);
    }
    sys::set_errno(errno);
}

fn reinstall(number: c_int) {
    let ours = ours();
    // SAFETY: as in `Previous::replace`.
    unsafe { libc::sigaction(number, &raw const ours, ptr::null_mut()) };
    raise(number, ptr::null());
}

/// Has the signal take the effect that it would have had without a client: with the action of before, and, unless the
/// same instruction raises it again anyway, sent anew to this thread. It comes when the handler returns.
pub fn pass_on(previous: Option<&Previous>, signal: &Signal) {
    match previous {
        Some(previous) => previous.put_back_one(signal.number),
        // SAFETY: as there.
        None => unsafe {
            libc::sigaction(signal.number, &zeroed(), ptr::null_mut());
        },
    }
    // Those faults after which the instruction pointer is where it was. A trap or a refused system call is behind it.
    let comes_again = matches!(signal.number, libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL);
    if !(comes_again && signal.code() > 0) {
        raise(signal.number, signal.info);
    }
}

/// Sends the signal to this thread; it is taken when this signal's handler has returned, if it is blocked until then.
fn raise(number: c_int, info: *const libc::siginfo_t) {
    let (pid, tid): (pid_t, pid_t) = (sys::process_id(), sys::thread_id());
    // SAFETY: blocks one signal in this thread, whose mask the kernel puts back when the handler returns; then sends it, with
    // the description that came with it. A thread may send itself any (`do_rt_tgsigqueueinfo` in kernel/signal.c).
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigaddset(&raw mut set, number);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        let sent = !info.is_null() && libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, tid, number, info) == 0;
        if !sent && libc::syscall(libc::SYS_tgkill, pid, tid, number) != 0 {
            // A sandbox forbids signals. This is the status that a shell would tell.
            libc::_exit(128 + number);
        }
    }
}
