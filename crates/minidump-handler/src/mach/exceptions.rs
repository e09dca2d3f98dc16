//! The exception ports of a process, and the handler's side of them.
//!
//! The exceptions are those that the kernel raises when the process's own handlers and signals have had their turn:
//! EXC_CRASH, EXC_RESOURCE and EXC_GUARD. A process that handles its faults itself is never disturbed.

use super::exception_message::{
    Behavior, EXCEPTION_CODES, ExceptionMessage, Identity, NOT_HANDLED, ThreadState,
};
use super::hand_over::Received;
use super::hand_over_message::PreviousHandler;
use super::message::Port;
use super::pipe;
use super::rights::SendRight;
use super::sys::{self, MachError};
use std::os::fd::AsFd;
use std::time::Duration;

/// `1 << EXC_CRASH | 1 << EXC_RESOURCE | 1 << EXC_GUARD`.
const MASK: u32 = 1 << 10 | 1 << 11 | 1 << 12;
/// The general registers: ARM_THREAD_STATE64 and x86_THREAD_STATE64.
const REGISTERS: u32 = if cfg!(target_arch = "x86_64") { 4 } else { 6 };
/// How often the handler looks whether the process has gone.
const LOOK: Duration = Duration::from_millis(500);
/// How long a handler from before may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The exception ports that a process has given away. They are given back when this value goes.
#[derive(Debug)]
pub struct TakenOver {
    previous: Vec<PreviousHandler>,
    /// The rights to them.
    _rights: Vec<SendRight>,
}

impl TakenOver {
    /// Who handled the exceptions before.
    #[must_use]
    pub fn previous(&self) -> &[PreviousHandler] {
        &self.previous
    }
}

impl Drop for TakenOver {
    fn drop(&mut self) {
        for previous in &self.previous {
            // The rights to the handler that goes are given back at once.
            let _ =
                sys::swap_exception_ports(previous.mask, previous.port, previous.behavior, previous.flavor);
        }
    }
}

/// Makes `handler` that of this process's crashes: in the protected form, without which hardened processes are killed for the
/// attempt, or else in the classic one, where the system knows no other.
///
/// # Errors
/// The kernel refuses both.
pub fn take_over(handler: &SendRight) -> Result<TakenOver, MachError> {
    let swap = |behavior: Behavior, flavor| {
        sys::swap_exception_ports(MASK, handler.port(), behavior as u32 | EXCEPTION_CODES, flavor)
    };
    let previous = swap(Behavior::StateIdentityProtected, REGISTERS)
        .or_else(|_| swap(Behavior::IdentityProtected, REGISTERS))
        .or_else(|_| swap(Behavior::StateIdentity, REGISTERS))?;
    let (previous, rights): (Vec<_>, Vec<_>) = previous.into_iter().unzip();
    Ok(TakenOver { previous, _rights: rights.into_iter().flatten().collect() })
}

/// A process that has crashed and waits in the kernel.
#[derive(Debug)]
pub struct Crashed<'e> {
    /// The right to its task.
    pub task: Port,
    /// It is the process that handed itself over, and not one of its children, which inherit its exception ports.
    pub is_process: bool,
    /// The right to the thread, in the classic form.
    pub thread: Option<Port>,
    /// The thread's id, in the protected form.
    pub thread_id: Option<u64>,
    /// `EXC_*`.
    pub exception: i32,
    /// Its codes.
    pub codes: &'e [u64],
    /// The registers at the exception.
    pub state: Option<&'e ThreadState>,
}

/// Serves the process's exceptions until it has gone, which the end of `pipe` tells. `dump` is called while the process waits;
/// afterwards the exception goes to the handler from before, and to the system's.
///
/// # Errors
/// The port cannot be received from.
pub fn answer_exceptions(
    process: &Received,
    pipe: &impl AsFd,
    mut dump: impl FnMut(&Crashed<'_>),
) -> Result<(), MachError> {
    let mut buffer = vec![0; 8 << 10];
    while !pipe::is_readable(pipe) {
        let Some(received) = sys::receive(&process.port, &mut buffer, LOOK)? else { continue };
        match ExceptionMessage::read(received) {
            Some(exception) => answer(process, &exception, &mut dump),
            None => sys::destroy(received),
        }
    }
    Ok(())
}

fn answer(process: &Received, exception: &ExceptionMessage, dump: &mut impl FnMut(&Crashed<'_>)) {
    let rights = Rights::of(exception.identity);
    if let Some(task) = rights.task.as_ref().map(SendRight::port) {
        dump(&Crashed {
            task,
            // Rights to one task have one name.
            is_process: task == process.task.port(),
            thread: rights.thread.as_ref().map(SendRight::port),
            thread_id: rights.thread_id,
            exception: exception.exception,
            codes: &exception.codes,
            state: exception.state.as_ref(),
        });
    }
    let (code, state) = forward(process, exception, &rights).unwrap_or((NOT_HANDLED, None));
    match exception.answer(code, state.as_ref()) {
        // The process may have gone meanwhile.
        Some(mut message) => drop(sys::send(&mut message, PATIENCE)),
        None => drop(SendRight::owning(exception.answer_to)),
    }
}

/// The rights that came with an exception, given back with this value.
struct Rights {
    task: Option<SendRight>,
    thread: Option<SendRight>,
    thread_id: Option<u64>,
    _token: Option<SendRight>,
}

impl Rights {
    fn of(identity: Identity) -> Self {
        match identity {
            Identity::Ports { thread, task } => Self {
                task: SendRight::owning(task),
                thread: SendRight::owning(thread),
                thread_id: None,
                _token: None,
            },
            Identity::Protected { task_token, thread_id } => Self {
                task: sys::task_of_token(task_token),
                thread: None,
                thread_id: Some(thread_id),
                _token: SendRight::owning(task_token),
            },
            Identity::Unknown => Self { task: None, thread: None, thread_id: None, _token: None },
        }
    }
}

/// Asks the handler from before. `None` when there is none, or what it wants to be told is not known, or it does not answer.
fn forward(
    process: &Received,
    exception: &ExceptionMessage,
    rights: &Rights,
) -> Option<(i32, Option<ThreadState>)> {
    let wanted = process
        .previous
        .iter()
        .find_map(|(handler, right)| Some((right, handler.wants(exception.exception)?, handler.flavor)));
    let (right, behavior, flavor) = wanted?;
    let found;
    let identity = match behavior {
        Behavior::Default | Behavior::StateIdentity => {
            let task = rights.task.as_ref()?;
            found = rights.thread_id.and_then(|id| sys::thread_of_id(task.port(), id));
            let thread = found.as_ref().or(rights.thread.as_ref())?;
            Identity::Ports { thread: thread.port(), task: task.port() }
        }
        _ => exception.identity,
    };
    let answers = sys::new_port().ok()?;
    let mut message = exception.forward(right.port(), (behavior, flavor), identity, answers.port())?;
    sys::send(&mut message, PATIENCE).ok()?;
    let mut buffer = vec![0; 8 << 10];
    let answer = sys::receive(&answers, &mut buffer, PATIENCE).ok()??;
    let read = ExceptionMessage::read_answer(answer);
    // No answer has any right. What was sent in the place of one may.
    sys::destroy(answer);
    read
}
