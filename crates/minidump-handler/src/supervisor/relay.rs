//! Signals that are sent to the supervisor and meant for the command.
#![allow(unsafe_code)]

use super::signal::Signal;
use super::witness::{self, Witness};
use libc::{c_int, pid_t, sigset_t};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};

/// Held from taking a signal to passing it on, and while this process stops: the signal by which it goes on takes away stop
/// signals that the witness has not told of yet, but not one that the supervisor has taken already.
static DECIDING: Mutex<()> = Mutex::new(());

/// What a terminal sends to a whole process group, so that the command has it already when the supervisor gets it.
const OF_TERMINAL: [c_int; 6] =
    [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGWINCH];

/// Whether it is a signal by which a terminal stops a process.
pub fn stops_by_terminal(signal: c_int) -> bool {
    [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal)
}

/// All signals but those that are this process's own affair: its children's ends.
pub fn set_of_passed_on() -> sigset_t {
    let mut set = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set, and sigdelset takes a valid number from it.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        libc::sigdelset(set.as_mut_ptr(), libc::SIGCHLD);
        set.assume_init()
    }
}

/// Blocks the signals that are passed on, in the calling thread and those it starts. Returns the mask of before.
pub fn block() -> sigset_t {
    let set = set_of_passed_on();
    let mut before = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: both sets are live; all zeros is a valid one, should the call fail.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr());
        before.assume_init()
    }
}

/// Passes on to `root` what is sent to this process and not to the whole group, as long as this process lives. Needs
/// [`block`] before.
pub fn pass_on(root: pid_t, mut witness: Option<Witness>) {
    let set = set_of_passed_on();
    // SAFETY: the set is live; the descriptor that the call returns belongs to nobody else.
    let coming = unsafe {
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) {
            -1 => return,
            descriptor => OwnedFd::from_raw_fd(descriptor),
        }
    };
    // Without a thread for it the command runs all the same.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
        loop {
            let mut poll = libc::pollfd { fd: coming.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one pollfd is passed, and it outlives the call.
            unsafe { libc::poll(&raw mut poll, 1, -1) };
            let _deciding = DECIDING.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(info) = witness::next_pending(&set) {
                decide(root, Signal::of(&info), witness.as_mut());
            }
        }
    });
}

/// Passes on a signal that was not for the group.
fn decide(root: pid_t, signal: Signal, witness: Option<&mut Witness>) {
    let is_for_group = witness.is_some_and(|witness| witness.has_seen(signal));
    let root_has_it = is_of_terminal(signal) || (is_for_group && in_same_group(root));
    if !root_has_it {
        // SAFETY: `root` is a child that is reaped only at the end of this process's work.
        unsafe { libc::kill(root, signal.number) };
    }
}

/// Whether the command has got it from the terminal, too.
fn is_of_terminal(signal: Signal) -> bool {
    !signal.is_sent() && OF_TERMINAL.contains(&signal.number)
}

/// Whether what is sent to the process group of this process reaches `root`.
fn in_same_group(root: pid_t) -> bool {
    // SAFETY: getpgid and getpgrp change nothing.
    unsafe { libc::getpgid(root) == libc::getpgrp() }
}

/// Stops this process by the signal that has stopped the command, which its parent is told, if the command is still stopped;
/// returns when a shell wants them to go on. The signal by which it does reaches the command, too.
///
/// The signal is sent while it is blocked. So it stops this process once, should the same one be there for the group already;
/// and if the group is let go on after `is_still_stopped` was asked, that takes the signal away, and nothing stops.
pub fn stop(signal: c_int, is_still_stopped: impl FnOnce() -> bool) {
    if signal == libc::SIGSTOP {
        // It cannot be blocked.
        if is_still_stopped() {
            // SAFETY: a signal to this very process.
            unsafe { libc::raise(signal) };
        }
        return;
    }
    let _deciding = DECIDING.lock().unwrap_or_else(PoisonError::into_inner);
    let set = set_of(signal);
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: no handler is installed, the signal is for this thread, and the sets and the time are live.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        if is_still_stopped() {
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        } else {
            libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const at_once);
        }
    }
}

fn set_of(signal: c_int) -> sigset_t {
    let mut set = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set, and sigaddset adds a valid number to it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        set.assume_init()
    }
}

/// Ends this process as the command has ended, if that was by SIGINT; else returns. A shell that gets SIGINT while a command
/// runs gives up its script only if the command has died of it, too: an exit code would tell it that the command has dealt
/// with the signal in a way of its own.
pub fn end_by_interrupt(status: ExitStatus) {
    use std::os::unix::process::ExitStatusExt as _;
    if status.signal() == Some(libc::SIGINT) {
        let set = set_of(libc::SIGINT);
        // SAFETY: no handler is installed, and the signal is for this process itself.
        unsafe {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
            libc::raise(libc::SIGINT);
        }
    }
}
