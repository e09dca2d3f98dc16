//! A process that tells which signals were for the whole process group.
//!
//! A signal to the group reaches the supervisor and the command, one to the supervisor is meant for the command and must be
//! passed on; the kernel tells the receiver no difference. What the command has got cannot be seen either: a signal that a
//! program takes by sigwait(3) or signalfd(2) stops it for no tracer. So the supervisor has a child that is in the same group
//! and does nothing but wait, with all signals blocked: what it gets is for the group. The kernel signals younger members of a
//! group first, so the witness has got a signal before the supervisor has.
#![allow(unsafe_code)]

use super::inherited;
use super::signal::Signal;
use libc::{c_int, pid_t, sigset_t};
use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::mem::MaybeUninit;

/// A `siginfo_t`; `si_signo` 0 ends a list.
const INFO: usize = 128;
/// So many are remembered that the supervisor has not asked for.
const MOST: usize = 1024;

/// The process. It ends when this is dropped, or the supervisor ends.
#[derive(Debug)]
pub struct Process(pid_t);

/// What it can be asked.
#[derive(Debug)]
pub struct Witness {
    question: PipeWriter,
    answer: PipeReader,
    seen: VecDeque<Signal>,
}

impl Witness {
    /// Starts it. Signals in `set` are blocked in the calling thread, the only one of this process.
    pub fn start(set: &sigset_t) -> io::Result<(Process, Self)> {
        let (asked, question) = io::pipe()?;
        let (answer, answering) = io::pipe()?;
        // SAFETY: this process has a single thread, so its child may do whatever it could do itself.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            drop((question, answer));
            inherited::give_up_files(true);
            bear_witness(set, asked, answering);
            // SAFETY: ends this process without running what others registered for its end.
            unsafe { libc::_exit(0) };
        }
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((Process(pid), Self { question, answer, seen: VecDeque::new() }))
    }

    /// Whether a signal that the supervisor has got was for the group. Each one counts once.
    pub fn has_seen(&mut self, signal: Signal) -> bool {
        // A witness that is gone has seen nothing.
        let _ = self.ask();
        let found = self.seen.iter().position(|seen| *seen == signal);
        found.and_then(|index| self.seen.remove(index)).is_some()
    }

    fn ask(&mut self) -> io::Result<()> {
        self.question.write_all(&[1])?;
        loop {
            let mut info = [0; INFO];
            self.answer.read_exact(&mut info)?;
            let signal = Signal::of(&info);
            if signal.number == 0 {
                return Ok(());
            }
            self.remember(signal);
        }
    }

    /// One of the first 31 that comes again before the supervisor has looked comes to it only once.
    fn remember(&mut self, signal: Signal) {
        if signal.number < libc::SIGRTMIN() && self.seen.contains(&signal) {
            return;
        }
        if self.seen.len() == MOST {
            self.seen.pop_front();
        }
        self.seen.push_back(signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: the first call tells whether it is still a child of this process, and not reaped, so that its id is its own;
        // SIGKILL does not wait for anything, should it be stopped.
        unsafe {
            if libc::waitpid(self.0, std::ptr::null_mut(), libc::WNOHANG) == 0 {
                libc::kill(self.0, libc::SIGKILL);
                libc::waitpid(self.0, std::ptr::null_mut(), 0);
            }
        }
    }
}

/// The work of the witness: whenever it is asked, it tells what has come since. Ends when nobody can ask any more.
fn bear_witness(set: &sigset_t, mut asked: PipeReader, mut answering: PipeWriter) {
    let mut word = [0];
    while asked.read_exact(&mut word).is_ok() {
        while let Some(info) = next_pending(set) {
            if answering.write_all(&info).is_err() {
                return;
            }
        }
        if answering.write_all(&[0; INFO]).is_err() {
            return;
        }
    }
}

/// A signal of the set that is there for this thread or process, which is taken away.
pub fn next_pending(set: &sigset_t) -> Option<[u8; INFO]> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set, the siginfo and the time are live.
    let number: c_int = unsafe { libc::sigtimedwait(set, info.as_mut_ptr(), &raw const at_once) };
    (number > 0).then(|| bytes_of(info))
}

/// The bytes of a siginfo that was zeroed before it was filled.
fn bytes_of(info: MaybeUninit<libc::siginfo_t>) -> [u8; INFO] {
    // SAFETY: the same size, and all bytes are initialised.
    unsafe { std::mem::transmute::<MaybeUninit<libc::siginfo_t>, [u8; INFO]>(info) }
}
