//! A supervisor: runs a command, follows everything it starts, and has a dump written when a signal is about to kill a
//! process, without any cooperation of the programs.
//!
//! It is the tracer (ptrace(2)) of all threads. Each signal stops its thread before it takes effect; one that is going to
//! kill the process is answered by stopping the other threads, too, and calling the caller back, who can dump the process
//! as it is at that instant. Then the signal goes its way: what the parent of the process sees is what it would have seen
//! without a supervisor. Deaths that no signal announces, as by seccomp, are seen when the thread is about to exit.
//!
//! What a program does with its signals does not matter: masks, handlers and alternative stacks are its own. A signal that a
//! program handles, as a virtual machine does with page faults, is passed on and makes no dump.
//!
//! Costs: a stop for each thread or process that starts, ends or calls exec, and for each signal. Limits: a traced program
//! cannot be traced by another debugger, and gains no privileges from set-user-ID programs unless the supervisor has
//! CAP_SYS_PTRACE.

mod death;
mod error;
mod hold;
mod inherited;
mod relay;
mod signal;
mod start;
mod table;
mod trace;
mod witness;

pub use death::{Crashed, Death};
pub use error::SuperviseError;
pub use relay::end_by_interrupt;

use hold::Held;
use libc::pid_t;
use signal::Signal;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;
use table::Table;
use trace::{Event, Wait};
use witness::Witness;

/// How long the threads of a process that is to be dumped may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Runs `command`, a program and its arguments, to its end, with the standard streams, process group, terminal and
/// environment of this process, and calls `on_crash` for each process of it that a signal is about to kill, itself and its
/// descendants alike. The process stands still during the call.
///
/// The calling thread becomes the tracer. It must be the only thread of this process, which must have nothing else to do:
/// signals that are sent to it are passed on to the command, and it stops and goes on with the command as its shell wishes.
/// Its own standard input and output and what else of its open files the command inherits is closed, so that others see the
/// end of a pipe when the command closes it; standard error is kept. When the command has ended, descendants that still run
/// go on without a supervisor.
///
/// # Errors
/// When the command cannot be started or traced. The exit status is that of the command.
pub fn supervise(
    command: &[OsString],
    on_crash: &mut dyn FnMut(&Crashed<'_>),
) -> Result<ExitStatus, SuperviseError> {
    let program = || command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let mask = relay::block();
    // Without a witness, signals to the group come to the command twice: better than not at all.
    let (_witness_ends, witness) = Witness::start(&relay::set_of_passed_on()).ok().unzip();
    let started = start::start(command, &mask).map_err(|failure| match failure {
        start::Failure::Start(source) => SuperviseError::Start { program: program(), source },
        start::Failure::Trace(source) => SuperviseError::Trace { program: program(), source },
    })?;
    inherited::give_up_files(false);
    relay::pass_on(started.root, witness);
    let (table, waiting) = (Table::default(), VecDeque::new());
    let mut supervisor = Supervisor { root: started.root, table, waiting, suspends_itself: false, on_crash };
    let ended = supervisor.follow();
    started.outcome().map_err(|source| SuperviseError::Start { program: program(), source })?;
    ended.map_err(|source| SuperviseError::Wait { program: program(), source })
}

struct Supervisor<'c> {
    /// The command.
    root: pid_t,
    table: Table,
    /// What was told of threads while others were being waited for.
    waiting: VecDeque<(pid_t, Wait)>,
    /// The command is about to stop by a SIGSTOP of its own, as shells do at `suspend`.
    suspends_itself: bool,
    on_crash: &'c mut dyn FnMut(&Crashed<'_>),
}

impl Supervisor<'_> {
    /// Answers all that happens until the command has ended.
    fn follow(&mut self) -> io::Result<ExitStatus> {
        loop {
            let (tid, wait) = match self.waiting.pop_front() {
                Some(told) => told,
                None => trace::wait_for_any()?,
            };
            match wait {
                Wait::Ended { status } => {
                    self.table.forget(tid);
                    if tid == self.root {
                        return Ok(ExitStatus::from_raw(status));
                    }
                }
                Wait::Stopped { event, signal } => self.answer(tid, event, signal),
            }
        }
    }

    fn answer(&mut self, tid: pid_t, event: Event, signal: i32) {
        match event {
            Event::Signal => self.before_signal(tid, signal),
            Event::GroupStop => {
                trace::listen(tid);
                if tid == self.root {
                    self.stop_with_command(signal);
                }
            }
            Event::Exec => {
                self.table.replaced(tid);
                trace::go_on(tid, 0);
            }
            Event::Exit => {
                self.before_exit(tid);
                trace::go_on(tid, 0);
            }
            Event::Other => trace::go_on(tid, 0),
        }
    }

    /// The command has been stopped by `signal`. If that is how a shell's job stops, the shell is to see it.
    fn stop_with_command(&mut self, signal: i32) {
        let suspended = std::mem::take(&mut self.suspends_itself) && signal == libc::SIGSTOP;
        if !suspended && !relay::stops_by_terminal(signal) {
            return;
        }
        relay::stop(signal, || !death::is_pending(self.root, libc::SIGCONT));
    }

    /// A signal is about to take effect on a thread.
    fn before_signal(&mut self, tid: pid_t, signal: i32) {
        let death = match self.table.process_of(tid) {
            Some(pid) if signal == libc::SIGSTOP || death::dumps_core(signal) => {
                self.death_by(pid, tid, signal)
            }
            _ => None,
        };
        if let Some(death) = &death {
            self.dump(death, hold::stop_others(death.pid, tid, STOP_LIMIT));
        }
        if death.is_some_and(|death| death.survives_while_traced()) {
            trace::detach(tid);
        } else {
            trace::go_on(tid, signal);
        }
    }

    /// The death of process `pid` by a signal that one of its threads is about to get, if it dies of it.
    fn death_by(&mut self, pid: pid_t, tid: pid_t, signal: i32) -> Option<Death> {
        let info = trace::siginfo(tid)?;
        if signal == libc::SIGSTOP && pid == self.root {
            self.suspends_itself = Signal::of(&info).sender() == Some(pid);
        }
        if !death::dumps_core(signal) || self.table.is_dying(pid) {
            return None;
        }
        Death::by_signal(pid, tid, signal, info)
    }

    /// A thread is about to end, without another chance to look at it.
    fn before_exit(&mut self, tid: pid_t) {
        // Most threads just end: what is needed to know that comes first.
        let Some(signal) = trace::killed_by(tid).filter(|signal| death::dumps_core(*signal)) else { return };
        let Some(pid) = self.table.process_of(tid) else { return };
        // However long ago: its threads end by the signal of which there is a dump.
        if self.table.was_to_die(pid) {
            return;
        }
        let held = hold::stop_others(pid, tid, STOP_LIMIT);
        // All threads end with the same status, in any order. Only one of them made the call that is not allowed.
        let threads = || std::iter::once(tid).chain(held.stopped.iter().copied());
        let culprit = threads().find(|tid| signal == libc::SIGSYS && trace::is_call_refused(*tid));
        let death = Death::at_exit(pid, culprit.unwrap_or(tid), signal);
        self.dump(&death, Held { stopped: threads().filter(|tid| *tid != death.tid).collect(), ..held });
    }

    /// Has the process dumped, all threads of which stand still.
    fn dump(&mut self, death: &Death, held: Held) {
        let mut stopped = vec![death.tid];
        stopped.extend(&held.stopped);
        (self.on_crash)(&Crashed::new(death, &stopped));
        self.table.is_now_dying(death.pid);
        self.waiting.extend(held.told);
        for tid in held.idle {
            trace::go_on(tid, 0);
        }
    }
}
