//! Signals that are sent to the supervisor and meant for the command, and job control.
#![allow(unsafe_code)]

use libc::{c_int, pid_t, sigset_t};
use std::mem::MaybeUninit;

/// What is passed on. The terminal sends its signals to the command itself, which is in the same process group.
const PASSED_ON: [c_int; 10] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCONT,
];

/// Whether it is a signal by which a terminal stops a process.
pub fn is_of_terminal(signal: c_int) -> bool {
    [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal)
}

fn set_of_passed_on() -> sigset_t {
    let mut set = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set, and sigaddset adds valid numbers to it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in PASSED_ON {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
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

/// Passes on to `root` what other processes send to this one, as long as this one lives. Needs [`block`] before.
pub fn pass_on(root: pid_t) {
    // Without a thread for it the command runs all the same.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
        let set = set_of_passed_on();
        loop {
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            // SAFETY: the set and the siginfo are live.
            let signal = unsafe { libc::sigwaitinfo(&raw const set, info.as_mut_ptr()) };
            // SAFETY: zeroed, and filled by the call.
            let by_process = unsafe { info.assume_init() }.si_code <= 0;
            if signal > 0 && by_process {
                // SAFETY: `root` is a child that is reaped only at the end of this process's work.
                unsafe { libc::kill(root, signal) };
            }
        }
    });
}

/// Stops this process, as the terminal has stopped the command; returns when a shell wants them to go on.
pub fn stop_with(root: pid_t) {
    // SAFETY: signals to this very process and to its child.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGSTOP);
        libc::kill(root, libc::SIGCONT);
    }
}
