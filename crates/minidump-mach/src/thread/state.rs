use super::info::{Basic, Extended, basic, extended, identity};
use super::registers::{Registers, cpu_flavors, from_words};
use super::{Identity, label};
use crate::arch::Arch;
use crate::bytes::low_half;
use crate::exception::{CrashedThread, MachCrash};
use crate::memory::TaskMemory;
use crate::{KernReturn, MachTask, ThreadPort};
use minidump_snapshot::{AppleThread, SoftError, Stage, Thread};

/// Reads threads of a task that stands still.
pub struct ThreadReader<'a> {
    pub task: &'a dyn MachTask,
    pub memory: &'a TaskMemory<'a>,
    pub arch: Arch,
    /// What was recorded of the thread that crashed.
    pub crash: Option<&'a MachCrash>,
    /// Threads that had no id, so far.
    pub unknown: u32,
}

/// A thread, and how the crash may name it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub thread: Thread,
    pub crashed: bool,
}

/// Whether the kernel means that the thread, or the task, is no more.
pub fn is_gone(error: KernReturn) -> bool {
    matches!(error, KernReturn::INVALID_ARGUMENT | KernReturn::TERMINATED | KernReturn::INVALID_DESTINATION)
}

impl ThreadReader<'_> {
    /// What is known of the thread. `None` when it has ended.
    pub fn read(&mut self, port: ThreadPort, errors: &mut Vec<SoftError>) -> Option<Found> {
        let identity = identity(self.task, port);
        let id = identity.ok().map(|identity| identity.id);
        let crashed = self.crash.filter(|crash| crash.thread.is(port, id));
        let (registers, failure) = self.registers(port, crashed);
        if registers.cpu.is_none() && failure.is_some_and(is_gone) {
            let message = "a thread ended while it was captured";
            let soft = SoftError::new(Stage::Registers, message).os_error(failure.map(|error| error.0));
            errors.push(match identity {
                Ok(identity) => soft.thread(low_half(identity.id)),
                Err(_) => soft,
            });
            return None;
        }
        let id = identity.map_or_else(|_| self.substitute_id(), |identity| low_half(identity.id));
        let mut note = |stage: Stage, what: &str, error: KernReturn| {
            let message = format!("{what}: {error}");
            errors.push(SoftError::new(stage, message).thread(id).os_error(Some(error.0)));
        };
        if let Some(error) = failure {
            note(Stage::Registers, "registers of a thread are missing", error);
        }
        let identity =
            identity.map_err(|error| note(Stage::ThreadFacts, "the id of a thread is unknown", error));
        let extended = extended(self.task, port);
        let extended =
            extended.map_err(|error| note(Stage::ThreadFacts, "the name of a thread is unknown", error));
        let basic = basic(self.task, port);
        let basic =
            basic.map_err(|error| note(Stage::ThreadFacts, "the state of a thread is unknown", error));
        let thread = self.thread(id, identity.unwrap_or_default(), registers, extended.ok(), basic.ok());
        Some(Found { thread, crashed: crashed.is_some() })
    }

    /// The crashed thread after it has ended: what was recorded of it.
    pub fn recorded(&mut self, crash: &MachCrash, errors: &mut Vec<SoftError>) -> Found {
        let id = match crash.thread {
            CrashedThread::Id(id) => id,
            CrashedThread::Port(_) => 0,
        };
        let short = if id == 0 { self.substitute_id() } else { low_half(id) };
        let message = "the crashed thread has ended; its registers are those that the crash handler recorded";
        errors.push(SoftError::new(Stage::Target, message).thread(short));
        let registers =
            from_states(self.arch, |flavor| recorded_words(self.arch, crash, flavor).map(<[u32]>::to_vec));
        let identity = Identity { id, ..Identity::default() };
        Found { thread: self.thread(short, identity, registers, None, None), crashed: true }
    }

    /// An id for a thread that the kernel tells none of: no thread has so high a one for a long time.
    pub fn substitute_id(&mut self) -> u32 {
        self.unknown = self.unknown.saturating_add(1);
        u32::MAX - self.unknown
    }

    fn thread(
        &self,
        id: u32,
        identity: Identity,
        registers: Registers,
        extended: Option<Extended>,
        basic: Option<Basic>,
    ) -> Thread {
        let apple = AppleThread {
            id: identity.id,
            handle: identity.handle,
            dispatch_queue: label(identity.queue_address, self.memory),
            suspend_count: basic.map_or(0, |basic| basic.suspend_count),
            fault: registers.fault,
        };
        Thread {
            name: extended.as_ref().map(|extended| extended.name.clone()),
            priority: extended.as_ref().map(|extended| extended.priority),
            times: extended.map(|extended| extended.times),
            cpu: registers.cpu,
            state: basic.and_then(|basic| basic.run_state),
            apple: Some(Box::new(apple)),
            ..Thread::new(id)
        }
    }

    /// The registers, and what the kernel said where some of them are missing.
    fn registers(&self, port: ThreadPort, crashed: Option<&MachCrash>) -> (Registers, Option<KernReturn>) {
        let mut failure = None;
        let is_caller = self.task.own_thread() == Some(port);
        let recorded = crashed.filter(|crash| !crash.states.is_empty());
        let registers = from_states(self.arch, |(flavor, count)| {
            if let Some(crash) = recorded {
                let words = recorded_words(self.arch, crash, (flavor, count));
                // What the thread that handles its own crash has by now is of no interest.
                if words.is_some() || is_caller {
                    return words.map(<[u32]>::to_vec);
                }
            }
            let mut words = vec![0; count];
            match self.task.thread_state(port, flavor, &mut words) {
                Ok(came) => {
                    failure = failure.or((came < count).then_some(KernReturn::FAILURE));
                    words.truncate(came);
                    Some(words)
                }
                Err(error) => {
                    failure = failure.or(Some(error));
                    None
                }
            }
        });
        (registers, failure)
    }
}

/// Decodes what `words` gives for each flavor and count of words.
fn from_states(arch: Arch, mut words: impl FnMut((u32, usize)) -> Option<Vec<u32>>) -> Registers {
    let flavors = cpu_flavors(arch);
    let [general, fault, float] =
        [flavors.general, flavors.fault, flavors.float].map(|flavor| words(flavor).unwrap_or_default());
    from_words(arch, &general, &float, &fault)
}

/// The words of a flavor, as the crash handler recorded them.
fn recorded_words(arch: Arch, crash: &MachCrash, (flavor, _): (u32, usize)) -> Option<&[u32]> {
    crash
        .states
        .iter()
        .map(|state| state.plain(arch))
        .find(|(kind, _)| *kind == flavor)
        .map(|(_, words)| words)
}
