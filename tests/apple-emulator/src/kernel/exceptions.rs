//! Exceptions, as the kernel raises them (mach/exception_types.h, mach/mach_exc.defs).

use super::messages::{Audit, Message, Part, word};
use super::ports::{DEAD, Kind, NULL, Name, PortId, Right};
use super::state::State;
use super::{Kernel, code};

/// MACH_EXCEPTION_CODES.
const CODES: u32 = 0x8000_0000;
/// The bits `1 << EXC_*` that there are.
const VALID_MASK: u32 = 0x3ffe;
/// The kernel among the processes.
const KERNEL: usize = 0;

/// Who is told of a kind of exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handler {
    pub port: Option<PortId>,
    pub behavior: u32,
    pub flavor: u32,
}

/// What `task_swap_exception_ports` tells of one handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    pub mask: u32,
    pub port: Name,
    pub behavior: u32,
    pub flavor: u32,
}

/// An exception of a process.
#[derive(Debug, Clone)]
pub struct Raised {
    /// Whose.
    pub pid: i32,
    /// The thread's name where it has one, and its id.
    pub thread: Name,
    /// As `thread_id`.
    pub thread_id: u64,
    /// The thread is gone when the message arrives.
    pub is_gone: bool,
    /// `EXC_*`.
    pub exception: u32,
    /// Its codes.
    pub codes: [u64; 2],
    /// Its registers of the flavor that the handler wants.
    pub state: Vec<u32>,
}

/// What the kernel hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nobody handles such exceptions.
    Nobody,
    /// The right to answer has ceased to be.
    Lost,
    /// None in time.
    Silence,
    /// The message's bytes.
    Message(Vec<u8>),
}

impl State {
    /// `task_swap_exception_ports` for the own task.
    pub fn swap_handlers(
        &mut self,
        process: usize,
        mask: u32,
        port: Name,
        (behavior, flavor): (u32, u32),
    ) -> Result<Result<Vec<Previous>, i32>, String> {
        if mask & !VALID_MASK != 0 {
            return Ok(Err(code::INVALID_ARGUMENT));
        }
        let new = if port == NULL || port == DEAD {
            None
        } else {
            // Programs pass a right to send, which they keep.
            match self.take(process, port, 19) {
                Ok(right) => right.map(|(port, _)| port),
                Err(()) => return Ok(Err(code::SEND_INVALID_RIGHT)),
            }
        };
        let plain = behavior & !CODES;
        let is_known = self.behaviors.contains(&plain) && (plain < 4 || behavior & CODES != 0);
        if new.is_some() && !is_known {
            return Ok(Err(code::INVALID_ARGUMENT));
        }
        let mut found: Vec<(u32, Handler)> = Vec::new();
        for exception in (1..14).filter(|exception| mask & 1 << exception != 0) {
            let none = Handler { port: None, behavior: 0, flavor: 0 };
            let new = Handler { port: new, behavior, flavor };
            let old = self.process(process)?.handlers.insert(exception, new).unwrap_or(none);
            match found.iter_mut().find(|(_, handler)| *handler == old) {
                Some((mask, _)) => *mask |= 1 << exception,
                None => found.push((1 << exception, old)),
            }
        }
        let mut all = Vec::new();
        for (mask, Handler { port, behavior, flavor }) in found {
            let port = port.map_or(Ok(NULL), |port| self.gain(process, port, Right::Send))?;
            all.push(Previous { mask, port, behavior, flavor });
        }
        Ok(Ok(all))
    }

    /// The message about an exception, in the form that its handler wants, and where it goes. The answer is to go to `reply`.
    fn exception_message(&mut self, raised: &Raised, reply: PortId) -> Option<(PortId, Message)> {
        let process = self.processes.iter().find(|process| process.pid == raised.pid)?;
        let handler = *process.handlers.get(&raised.exception)?;
        let port = handler.port.filter(|port| self.is_alive(*port))?;
        let form = handler.behavior & !CODES;
        let id = if form == 5 { 2410 } else { 2404 + form };
        let send = |port| Part::Right(Some((port, Right::Send)));
        let mut parts = Vec::new();
        match form {
            1 | 3 => {
                let thread = self.port_of(Kind::Thread(raised.thread));
                parts.push((4, if raised.is_gone { Part::Right(None) } else { send(thread) }));
                parts.push((16, send(self.port_of(Kind::Task(raised.pid)))));
            }
            4 | 5 => parts.push((4, send(self.port_of(Kind::Token(raised.pid))))),
            _ => {}
        }
        let mut body = Vec::new();
        let mut put = |words: &[u32]| body.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        if !parts.is_empty() {
            put(&[u32::try_from(parts.len()).ok()?]);
            // Names are entered when the message arrives; that of a right which has gone must not look like none.
            for _ in &parts {
                put(&[DEAD, 0, 17 << 16]);
            }
        }
        put(&[0, 1]);
        let halves = |value: u64| [(value & 0xffff_ffff) as u32, (value >> 32) as u32];
        if form > 3 {
            put(&halves(raised.thread_id));
        }
        put(&[raised.exception, 2]);
        raised.codes.iter().for_each(|code| put(&halves(*code)));
        if matches!(form, 2 | 3 | 5) {
            put(&[handler.flavor, u32::try_from(raised.state.len()).ok()?]);
            put(&raised.state);
        }
        let (is_complex, reply) = (!parts.is_empty(), Some((reply, Right::SendOnce)));
        let message =
            Message { id, is_complex, to: Right::Send, reply, body, parts, sender: Audit::default() };
        Some((port, message))
    }
}

impl Kernel {
    /// Raises an exception, and waits for the answer, at most `patience` nanoseconds.
    ///
    /// # Errors
    /// When everybody waits for what nobody does.
    pub fn raise(&self, raised: &Raised, patience: u64) -> Result<Answer, String> {
        let reply = self.with(|state| {
            let reply = state.new_port(Kind::Plain, Some(KERNEL));
            let (port, message) = state.exception_message(raised, reply)?;
            state.ports.get_mut(port)?.queue.push_back(message);
            Some(reply)
        });
        let Some(reply) = reply else { return Ok(Answer::Nobody) };
        let deadline = self.now().saturating_add(patience);
        let came = self.wait(Some(deadline), |state| state.ports.get_mut(reply)?.queue.pop_front())?;
        let answer = match came {
            None => Answer::Silence,
            Some(message) if message.id == 71 => Answer::Lost,
            Some(message) => {
                Answer::Message(self.with(|state| state.give_message(KERNEL, 0, message))?.bytes)
            }
        };
        self.with(|state| state.kill(reply));
        Ok(answer)
    }
}

impl Answer {
    /// Size, id and code of an answer, and the words behind.
    #[must_use]
    pub fn told(&self) -> Option<(u32, u32, u32, Vec<u32>)> {
        let Self::Message(bytes) = self else { return None };
        let size = word(bytes, 4)?;
        let rest = bytes.get(36..usize::try_from(size).ok()?)?;
        let words = rest.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        Some((size, word(bytes, 20)?, word(bytes, 32)?, words))
    }
}
