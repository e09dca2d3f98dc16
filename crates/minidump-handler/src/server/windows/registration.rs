//! How a program becomes known to the handler, ahead of its crash.

use super::peer::Peer;
use crate::protocol::Malformed;
use crate::protocol::windows::{CHALLENGE, Hello, MESSAGE_AT, Registered, Registration, length_of_mail};
use crate::protocol::{Reply, ReplyKind};
use crate::windows::event::Event;
use crate::windows::pipe::Pipe;
use crate::windows::random;
use std::io;
use std::os::windows::io::AsHandle as _;
use std::time::Duration;

/// How long a program may take to register, and to read what it is told.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// What the program may do with its events: SYNCHRONIZE and EVENT_MODIFY_STATE.
const EVENT_RIGHTS: u32 = 0x0010_0002;

/// Why a program was not registered.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It did not speak, or went.
    #[error("the program does not register: {0}")]
    Pipe(#[from] io::Error),
    /// What it said is no registration.
    #[error("the registration is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// It cannot be looked at.
    #[error("process {pid} cannot be opened: {source}")]
    Open {
        pid: u32,
        #[source]
        source: io::Error,
    },
    /// The mailbox is not the one of the process that the system names.
    #[error("process {pid} is not the one that registers: its memory does not hold the challenge")]
    Stranger { pid: u32 },
    /// No handles can be given to it.
    #[error("process {pid} cannot be given handles: {source}")]
    Give {
        pid: u32,
        #[source]
        source: io::Error,
    },
    /// Its user has too many programs here.
    #[error("too many programs of this user are registered")]
    TooMany,
}

/// A program that is registered.
#[derive(Debug)]
pub struct Program {
    pub peer: Peer,
    mailbox: u64,
    /// The program sets it; the handler sets the others.
    pub request: Event,
    pub alive: Event,
    pub settled: Event,
    pub failed: Event,
}

impl Program {
    /// Greets the program at the other end and hears its registration. `admit` says whether one of its user may come.
    pub fn register(pipe: &mut Pipe, admit: impl FnOnce(&Peer) -> bool) -> Result<Self, Refusal> {
        let pid = pipe.client()?;
        let challenge = random::bytes()?;
        pipe.send(&Hello { challenge }.encode(), PATIENCE)?;
        let registration = Registration::decode(pipe.receive(PATIENCE)?)?;
        let open = |source| Refusal::Open { pid, source };
        let peer = Peer::open(pid).map_err(open)?;
        // The number that the pipe tells may be another process's by now; only the one that was greeted has these bytes.
        let mut found = [0; CHALLENGE];
        let is_same = peer.read(registration.mailbox, &mut found).is_ok() && found == challenge;
        if !is_same {
            return Err(Refusal::Stranger { pid });
        }
        if !admit(&peer) {
            return Err(Refusal::TooMany);
        }
        let program = Self {
            peer,
            mailbox: registration.mailbox,
            request: Event::that_resets()?,
            alive: Event::that_resets()?,
            settled: Event::new()?,
            failed: Event::new()?,
        };
        let registered = program.give_handles().map_err(|source| Refusal::Give { pid, source })?;
        pipe.send(&registered.encode(), PATIENCE)?;
        Ok(program)
    }

    fn give_handles(&self) -> io::Result<Registered> {
        let giver = self.peer.giver()?;
        let give = |event: &Event| giver.give(event.as_handle(), EVENT_RIGHTS);
        Ok(Registered {
            request: give(&self.request)?,
            alive: give(&self.alive)?,
            settled: give(&self.settled)?,
            failed: give(&self.failed)?,
            handler: giver.give_this_process()?,
        })
    }

    /// The message that lies in the mailbox.
    pub fn mail(&self) -> Result<Vec<u8>, Refusal> {
        let mut head = [0; MESSAGE_AT];
        self.peer.read(self.mailbox, &mut head)?;
        let length = length_of_mail(&head)?;
        let at = self.mailbox.saturating_add(u64::try_from(MESSAGE_AT).unwrap_or(0));
        let mut message = vec![0; length];
        self.peer.read(at, &mut message)?;
        Ok(message)
    }
}

/// Tells a program that it was not registered, if it still listens.
pub fn refuse(pipe: &mut Pipe, why: &Refusal) {
    let reply = Reply { kind: ReplyKind::Failed, text: why.to_string() };
    // Whoever does not read it knows by the end of the connection.
    let _ = pipe.send(&reply.encode(), PATIENCE);
}
