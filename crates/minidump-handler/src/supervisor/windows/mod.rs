//! A supervisor: runs a command, follows everything it starts, and has a dump written when an exception is about to end a
//! process, without any cooperation of the programs.
//!
//! It is their debugger ("Debugging Functions"). An exception that a program does not handle comes to its debugger a second
//! time, as the last before the process ends: all of its threads stand then, the caller is called back and can dump it, and
//! the exception goes its way. What a program handles itself, as virtual machines do with page faults and C++ programs with
//! `throw`, is passed on at the first time and makes no dump.
//!
//! Programs are not to notice. So what a system does for debuggers alone is undone or answered here: see [`process`] and
//! [`breakpoint`].
//!
//! Costs: an event for each thread, process and library that comes or goes, for each text of `OutputDebugString` and for each
//! exception, handled ones included. Limits: a debugged program cannot be debugged by another; the filter that a program
//! gives to `SetUnhandledExceptionFilter` is not called (the system asks the debugger in its place).
#![allow(unsafe_code)]

mod breakpoint;
mod console;
mod death;
mod debug;
#[path = "../error.rs"]
mod error;
mod process;
mod start;
#[cfg(test)]
mod tests;

pub use death::{Crashed, Death};
pub use error::SuperviseError;
pub use process::executable_of;

use debug::{Answer, Event, Told};
use process::Process;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::windows::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;
use windows_sys::Win32::System::Diagnostics::Debug::EXCEPTION_RECORD;

/// So often it is looked whether the command is still there, should its end ever not be told.
const LOOK: Duration = Duration::from_secs(2);

/// Runs `command`, a program and its arguments, to its end, with the standard streams, console and environment of this
/// process, and calls `on_crash` for each process of it that an exception is about to end, itself and its descendants alike.
/// The process stands still during the call.
///
/// The calling thread becomes the debugger. This process must have nothing else to do: it no longer ends by Ctrl-C, which is
/// for the command alone, and its own standard input and output are closed, so that others see the end of a pipe when
/// the command closes it; standard error is kept. When the command has ended, descendants that still run go on without a
/// supervisor; so does everything when this process is ended.
///
/// The program is found as by [`std::process::Command`], which also puts the arguments together so that
/// `CommandLineToArgvW` takes them apart again as they were, or for batch files as cmd.exe wants them.
///
/// # Errors
/// When the command cannot be started or followed. The exit status is that of the command.
pub fn supervise(
    command: &[OsString],
    on_crash: &mut dyn FnMut(&Crashed<'_>),
) -> Result<ExitStatus, SuperviseError> {
    let program = || command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let handler = console::outlive_interrupts();
    let started =
        start::start(command).map_err(|source| SuperviseError::Start { program: program(), source })?;
    debug::leave_running_at_exit();
    start::give_up_files();
    let mut supervisor =
        Supervisor { root: started.id(), processes: HashMap::new(), answered: None, on_crash };
    let ended = supervisor.follow(started);
    supervisor.let_go();
    drop(handler);
    ended.map_err(|source| SuperviseError::Wait { program: program(), source })
}

struct Supervisor<'c> {
    /// The command.
    root: u32,
    processes: HashMap<u32, Process>,
    /// How the command has ended.
    answered: Option<u32>,
    on_crash: &'c mut dyn FnMut(&Crashed<'_>),
}

impl Supervisor<'_> {
    /// Answers all that happens until the command has ended.
    fn follow(&mut self, mut started: start::Started) -> io::Result<ExitStatus> {
        loop {
            match debug::wait(LOOK)? {
                Some(told) => self.answer(told)?,
                None => {
                    if let Some(status) = started.ended()? {
                        return Ok(status);
                    }
                }
            }
            if let Some(code) = self.answered {
                return Ok(ExitStatus::from_raw(code));
            }
        }
    }

    /// Lets all descendants that still run go on without a debugger.
    fn let_go(&mut self) {
        // What has been told before the command ended is answered first: a process that was just born is not known yet.
        while let Ok(Some(told)) = debug::wait(Duration::ZERO) {
            if self.answer(told).is_err() {
                break;
            }
        }
        for pid in self.processes.keys() {
            debug::let_go(*pid);
        }
    }

    fn answer(&mut self, told: Told) -> io::Result<()> {
        let Told { pid, tid, event } = told;
        let answer = match event {
            Event::ProcessStarted { handle } => {
                self.processes.insert(pid, Process::hidden(handle, tid));
                Answer::GoOn
            }
            Event::ProcessEnded { code } => {
                self.processes.remove(&pid);
                if pid == self.root {
                    self.answered = Some(code);
                }
                Answer::GoOn
            }
            Event::Exception { record, is_last_chance: false } => self.first_chance(pid, tid, &record),
            Event::Exception { record, is_last_chance: true } => {
                self.dump(Death::by_exception(pid, tid, &record));
                Answer::NotHandled
            }
            // The text then goes where it would go without a debugger, to those who listen with DebugView and the like.
            Event::Text => Answer::NotHandled,
            Event::Other => Answer::GoOn,
        };
        debug::go_on(pid, tid, answer)
    }

    /// What becomes of an exception that the program has not seen yet.
    fn first_chance(&mut self, pid: u32, tid: u32, record: &EXCEPTION_RECORD) -> Answer {
        let process = self.processes.get_mut(&pid);
        let is_ours = process.is_some_and(|process| breakpoint::is_for_debuggers(process, tid, record));
        if is_ours { Answer::GoOn } else { Answer::NotHandled }
    }

    /// Has the process dumped, all threads of which stand still.
    fn dump(&mut self, death: Death) {
        let Some(process) = self.processes.get_mut(&death.pid) else { return };
        // Others of its threads may crash while it ends; they need no dumps of their own.
        if std::mem::replace(&mut process.is_dying, true) {
            return;
        }
        let death = Death { is_in_first_thread: death.tid == process.first_thread, ..death };
        (self.on_crash)(&Crashed::new(&death, process.executable()));
    }
}
