//! Signals that are sent to the supervisor and meant for the command.
#![allow(unsafe_code)]

use super::signal::Signal;
use super::witness::{self, Witness};
use libc::{c_int, pid_t, sigset_t};
use std::mem::MaybeUninit;
use std::process::ExitStatus;

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
    // Without a thread for it the command runs all the same.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
        let set = set_of_passed_on();
        loop {
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            // SAFETY: the set and the siginfo are live.
            let number = unsafe { libc::sigwaitinfo(&raw const set, info.as_mut_ptr()) };
            if number <= 0 {
                continue;
            }
            let signal = Signal::of(&witness::bytes_of(info));
            let is_for_group = witness.as_mut().is_some_and(|witness| witness.has_seen(signal));
            if !is_of_terminal(signal) && !(is_for_group && in_same_group(root)) {
                // SAFETY: `root` is a child that is reaped only at the end of this process's work.
                unsafe { libc::kill(root, number) };
            }
        }
    });
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

/// Stops this process, as the command has been stopped; returns when a shell wants them to go on. The signal by which it
/// does reaches the command, too.
pub fn stop() {
    // SAFETY: a signal to this very process.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
}

/// Ends this process as the command has ended, if that was by SIGINT; else returns. A shell that gets SIGINT while a command
/// runs gives up its script only if the command has died of it, too: an exit code would tell it that the command has dealt
/// with the signal in a way of its own.
pub fn end_by_interrupt(status: ExitStatus) {
    use std::os::unix::process::ExitStatusExt as _;
    if status.signal() != Some(libc::SIGINT) {
        return;
    }
    let mut set = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set, sigaddset adds a valid number; no handler is installed, and the signal is
    // for this process itself.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_DFL);
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut());
        libc::raise(libc::SIGINT);
    }
}
