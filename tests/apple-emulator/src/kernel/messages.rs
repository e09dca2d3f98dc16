//! Messages, on their way between processes (mach/message.h).

use super::code;
use super::ports::{DEAD, NULL, Name, PortId, Right};
use super::state::State;

/// MACH_MSGH_BITS_COMPLEX, and the bits that programs may set.
const COMPLEX: u32 = 0x8000_0000;
const BITS: u32 = 0x801f_1f1f;
/// Bytes of the header, of a descriptor of a port and of one of memory, and of the trailer that tells the sender.
const HEADER: usize = 24;
const PORT_DESCRIPTOR: usize = 12;
const MEMORY_DESCRIPTOR: usize = 16;
const AUDIT_TRAILER: u32 = 52;
/// MACH_NOTIFY_SEND_ONCE.
const NOBODY_ANSWERS: u32 = 71;
/// MACH_PORT_QLIMIT_BASIC.
pub const MOST_WAITING: usize = 5;

/// Who sent a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Audit {
    /// Process id.
    pub pid: i32,
    /// Effective user.
    pub euid: u32,
}

/// What descriptors describe.
#[derive(Debug)]
pub enum Part {
    /// A right; `None` for a dead one.
    Right(Option<(PortId, Right)>),
    /// Bytes that the receiver gets mapped.
    Memory(Vec<u8>),
}

/// A message on its way. Names in it mean nothing.
#[derive(Debug)]
pub struct Message {
    pub id: u32,
    pub is_complex: bool,
    /// How it was sent, as the receiver sees it.
    pub to: Right,
    pub reply: Option<(PortId, Right)>,
    /// Without the header.
    pub body: Vec<u8>,
    /// Descriptors, by their offset in `body`.
    pub parts: Vec<(usize, Part)>,
    pub sender: Audit,
}

/// A message that was received.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The message with its trailer.
    pub bytes: Vec<u8>,
    /// Bytes of the message itself.
    pub size: usize,
    /// Memory that is to be mapped, by the offset of the address in `bytes`.
    pub memory: Vec<(usize, Vec<u8>)>,
}

impl Message {
    /// What comes when a right to send once ceases to be.
    pub fn nobody_answers() -> Self {
        Self {
            id: NOBODY_ANSWERS,
            is_complex: false,
            to: Right::SendOnce,
            reply: None,
            body: Vec::new(),
            parts: Vec::new(),
            sender: Audit::default(),
        }
    }
}

pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

fn set(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..value.len())) {
        place.copy_from_slice(value);
    }
}

/// `MACH_MSG_TYPE_PORT_*`, as receivers see it.
fn received_as(right: Right) -> u32 {
    match right {
        Right::Receive => 16,
        Right::Send => 17,
        Right::SendOnce => 18,
    }
}

impl State {
    /// Takes a message with its rights out of a process. Returns it and the port that it goes to. On an error nothing is
    /// taken, unless a right of the body is none.
    pub fn take_message(&mut self, process: usize, bytes: &[u8]) -> Result<(PortId, Message), i32> {
        if bytes.len() < HEADER || !bytes.len().is_multiple_of(4) {
            return Err(code::SEND_MSG_TOO_SMALL);
        }
        let field = |at| word(bytes, at).unwrap_or(0);
        let (bits, remote, local, voucher, id) = (field(0), field(8), field(12), field(16), field(20));
        let (to, answer) = (bits & 0x1f, bits >> 8 & 0x1f);
        let is_answer_right = if answer == 0 { local == NULL } else { (17..=21).contains(&answer) };
        if bits & !BITS != 0 || !(17..=21).contains(&to) || !is_answer_right || voucher != 0 {
            return Err(code::SEND_INVALID_HEADER);
        }
        let target = self.entry(process, remote).ok_or(code::SEND_INVALID_DEST)?.port;
        if !self.is_alive(target) {
            return Err(code::SEND_INVALID_DEST);
        }
        if local != NULL && self.entry(process, local).is_none() {
            return Err(code::SEND_INVALID_REPLY);
        }
        let sent = self.take(process, remote, to).map_err(|()| code::SEND_INVALID_DEST)?;
        let (port, to) = sent.ok_or(code::SEND_INVALID_DEST)?;
        let reply = if local == NULL { None } else { self.take(process, local, answer).ok().flatten() };
        let inside = self.processes.get(process).ok_or(code::SEND_INVALID_DEST)?;
        let sender = Audit { pid: inside.pid, euid: inside.euid };
        let body = bytes.get(HEADER..).unwrap_or_default().to_vec();
        let is_complex = bits & COMPLEX != 0;
        let mut message = Message { id, is_complex, to, reply, body, parts: Vec::new(), sender };
        match self.take_parts(process, &mut message) {
            Ok(()) => Ok((port, message)),
            Err(code) => {
                self.destroy(message);
                Err(code)
            }
        }
    }

    fn take_parts(&mut self, process: usize, message: &mut Message) -> Result<(), i32> {
        if !message.is_complex {
            return Ok(());
        }
        let count = word(&message.body, 0).ok_or(code::SEND_MSG_TOO_SMALL)?;
        let mut at = 4;
        for _ in 0..count {
            let kind = word(&message.body, at + 8).ok_or(code::SEND_MSG_TOO_SMALL)?;
            match kind >> 24 {
                0 => {
                    let name = word(&message.body, at).ok_or(code::SEND_MSG_TOO_SMALL)?;
                    let right = self.take_part(process, name, kind >> 16 & 0xff)?;
                    message.parts.push((at, Part::Right(right)));
                    at += PORT_DESCRIPTOR;
                }
                // Where the bytes lie matters to nobody here: their number is what they are.
                1 => {
                    let size = word(&message.body, at + 12).ok_or(code::SEND_MSG_TOO_SMALL)?;
                    let bytes = vec![0x77; usize::try_from(size).unwrap_or(0)];
                    message.parts.push((at, Part::Memory(bytes)));
                    at += MEMORY_DESCRIPTOR;
                }
                _ => return Err(code::SEND_INVALID_TYPE),
            }
        }
        Ok(())
    }

    fn take_part(
        &mut self,
        process: usize,
        name: Name,
        disposition: u32,
    ) -> Result<Option<(PortId, Right)>, i32> {
        if name == NULL || name == DEAD {
            // Told apart by the name, which stays where it is.
            return Ok(None);
        }
        self.take(process, name, disposition).map_err(|()| code::SEND_INVALID_RIGHT)
    }

    /// Gives a message with its rights to a process, which received it under the name `received_by`.
    pub fn give_message(
        &mut self,
        process: usize,
        received_by: Name,
        message: Message,
    ) -> Result<Delivered, String> {
        let (reply, reply_type) = match message.reply {
            Some((port, right)) => (self.gain(process, port, right)?, received_as(right)),
            None => (NULL, 0),
        };
        let bits = reply_type | received_as(message.to) << 8 | if message.is_complex { COMPLEX } else { 0 };
        self.lay_out(process, [bits, reply, received_by], message)
    }

    /// As [`give_message`](Self::give_message), to the sender itself: the message could not be sent.
    pub fn give_back(&mut self, process: usize, target: PortId, message: Message) -> Result<Vec<u8>, String> {
        let remote = self.gain(process, target, message.to)?;
        let (local, local_type) = match message.reply {
            Some((port, right)) => (self.gain(process, port, right)?, received_as(right)),
            None => (NULL, 0),
        };
        let bits = received_as(message.to) | local_type << 8 | if message.is_complex { COMPLEX } else { 0 };
        let mut laid_out = self.lay_out(process, [bits, remote, local], message)?;
        laid_out.bytes.truncate(laid_out.size);
        Ok(laid_out.bytes)
    }

    fn lay_out(
        &mut self,
        process: usize,
        [bits, remote, local]: [u32; 3],
        message: Message,
    ) -> Result<Delivered, String> {
        let size = HEADER + message.body.len();
        let length = u32::try_from(size).map_err(|error| error.to_string())?;
        let mut bytes: Vec<u8> =
            [bits, length, remote, local, 0, message.id].into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend(&message.body);
        let mut memory = Vec::new();
        for (at, part) in message.parts {
            let at = HEADER + at;
            match part {
                Part::Right(Some((port, right))) => {
                    let name = self.gain(process, port, right)?;
                    set(&mut bytes, at, &name.to_le_bytes());
                    set(&mut bytes, at + 8, &(received_as(right) << 16).to_le_bytes());
                }
                Part::Right(None) => {
                    let name = if word(&bytes, at) == Some(NULL) { NULL } else { DEAD };
                    set(&mut bytes, at, &name.to_le_bytes());
                    set(&mut bytes, at + 8, &(received_as(Right::Send) << 16).to_le_bytes());
                }
                Part::Memory(part) => memory.push((at, part)),
            }
        }
        let Audit { pid, euid } = message.sender;
        let pid = pid.cast_unsigned();
        // Type, size, number of the message; user and group; the token.
        let trailer = [0, AUDIT_TRAILER, 0, euid, 20, 0, euid, 20, euid, 20, pid, 100, 1];
        bytes.extend(trailer.into_iter().flat_map(u32::to_le_bytes));
        Ok(Delivered { bytes, size, memory })
    }
}
