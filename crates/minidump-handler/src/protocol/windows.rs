//! The messages of Windows: a program registers before it crashes, and its account of a crash lies in its own memory, in a
//! mailbox whose address it has told.
//!
//! Account and wish have the fields of [`Request`](super::Request) where they mean the same. `docs/handler-protocol.md` has
//! all of it.

use super::fields::{Fields, Malformed, number};
use super::request::{MOST_ANNOTATIONS, MOST_ATTACHMENTS, annotation, text};
use super::{MOST_BYTES, MessageWriter, RequestKind, tag};

/// Kind of a registration.
const REGISTER: u16 = 4;
/// Kinds of the two answers that other systems do not have, or have without fields.
const HELLO: u16 = 0x86;
const REGISTERED: u16 = 0x87;

/// Address of the mailbox: u64.
const MAILBOX: u16 = 13;
/// Address of the EXCEPTION_POINTERS: u64; then the exception's code: u32; then zero: u32.
pub const EXCEPTION: u16 = 14;
/// What the handler wants to find in the mailbox: 16 bytes.
const CHALLENGE_TAG: u16 = 15;
/// Handles in the program's own table: each a u64.
const HANDLES: u16 = 16;

/// Bytes of a challenge.
pub const CHALLENGE: usize = 16;
/// How many handles a registered program gets.
pub const HANDLE_COUNT: usize = 5;
/// Where in a mailbox the length of the message is, a u32, and where the message begins; the challenge is before both.
pub const LENGTH_AT: usize = CHALLENGE;
pub const MESSAGE_AT: usize = LENGTH_AT + 8;
/// Bytes of a mailbox.
pub const MAILBOX_SIZE: usize = MESSAGE_AT + MOST_BYTES;

/// The first words of the handler on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// Sixteen random bytes: who finds them in the memory of a process knows that it is the one at the other end.
    pub challenge: [u8; CHALLENGE],
}

impl Hello {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        message(HELLO, CHALLENGE_TAG, &self.challenge)
    }

    /// Reads a message.
    pub fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let wrong = Malformed::Missing(CHALLENGE_TAG);
        let bytes = only_field(message, HELLO, CHALLENGE_TAG)?;
        Ok(Self { challenge: bytes.try_into().map_err(|_| wrong)? })
    }
}

/// What a program tells when it registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// Where its mailbox of [`MAILBOX_SIZE`] bytes is; the challenge is in it already.
    pub mailbox: u64,
}

impl Registration {
    /// The message.
    pub fn encode(self) -> Vec<u8> {
        message(REGISTER, MAILBOX, &self.mailbox.to_le_bytes())
    }

    /// Reads a message. The mailbox does not reach beyond the end of all memory.
    pub fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let wrong = Malformed::Missing(MAILBOX);
        let bytes: [u8; 8] = only_field(message, REGISTER, MAILBOX)?.try_into().map_err(|_| wrong)?;
        let mailbox = u64::from_le_bytes(bytes);
        let size = u64::try_from(MAILBOX_SIZE).map_err(|_| wrong)?;
        let fits = mailbox > 0 && mailbox.checked_add(size).is_some();
        fits.then_some(Self { mailbox }).ok_or(wrong)
    }
}

/// What a registered program is given. Each is a handle in its own table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// Event that the program sets when the mailbox holds its account of a crash.
    pub request: u64,
    /// Event that the handler sets when it has read the account, and again every half second while the program waits.
    pub alive: u64,
    /// Event that the handler sets when there is a dump, or shall be none.
    pub settled: u64,
    /// Event that the handler sets when it cannot dump the program.
    pub failed: u64,
    /// The handler's process, to be waited for.
    pub handler: u64,
}

impl Registered {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let handles = [self.request, self.alive, self.settled, self.failed, self.handler];
        message(REGISTERED, HANDLES, handles.map(u64::to_le_bytes).as_flattened())
    }

    /// Reads a message.
    pub fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let bytes = only_field(message, REGISTERED, HANDLES)?;
        let (words, []) = bytes.as_chunks::<8>() else { return Err(Malformed::Missing(HANDLES)) };
        let handles: &[[u8; 8]; HANDLE_COUNT] = words.try_into().map_err(|_| Malformed::Missing(HANDLES))?;
        let [request, alive, settled, failed, handler] = handles.map(u64::from_le_bytes);
        Ok(Self { request, alive, settled, failed, handler })
    }
}

/// An account of a crash, or a wish for a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Why.
    pub kind: RequestKind,
    /// Id of the thread to blame.
    pub thread: u32,
    /// The exception of a crash.
    pub exception: Option<ExceptionAt>,
    /// Keys and values.
    pub annotations: Vec<(String, String)>,
    /// Paths of files to be kept with the dump.
    pub attachments: Vec<String>,
    /// Why a dump is asked for.
    pub reason: Option<String>,
}

/// Where the description of an exception is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExceptionAt {
    /// Address of the EXCEPTION_POINTERS in the program's memory.
    pub pointers: u64,
    /// The exception's code, should its record not be readable.
    pub code: u32,
}

impl ExceptionAt {
    /// Bytes of the field [`EXCEPTION`].
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let parts = self.pointers.to_le_bytes().into_iter().chain(self.code.to_le_bytes());
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let code = u32::try_from(number(bytes, 8, 4)).ok()?;
        (bytes.len() == 16).then(|| Self { pointers: number(bytes, 0, 8), code })
    }
}

impl Account {
    /// Reads a message.
    pub fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let fields = Fields::of(message)?;
        let kind = match fields.kind {
            1 => RequestKind::Crash,
            2 => RequestKind::Dump,
            3 => RequestKind::Hang,
            other => return Err(Malformed::Kind(other)),
        };
        let (annotations, attachments) = (Vec::new(), Vec::new());
        let mut account = Self { kind, thread: 0, exception: None, annotations, attachments, reason: None };
        for field in fields {
            let (tag, bytes) = field?;
            account.take(tag, bytes)?;
        }
        match (account.thread, account.exception, kind) {
            (0, ..) => Err(Malformed::Missing(tag::THREAD)),
            (_, None, RequestKind::Crash) => Err(Malformed::Missing(EXCEPTION)),
            (.., RequestKind::Crash) => Ok(account),
            _ => Ok(Self { exception: None, ..account }),
        }
    }

    fn take(&mut self, tag: u16, bytes: &[u8]) -> Result<(), Malformed> {
        let wrong = Malformed::Missing(tag);
        match tag {
            tag::THREAD => self.thread = u32::from_le_bytes(bytes.try_into().map_err(|_| wrong)?),
            EXCEPTION => self.exception = Some(ExceptionAt::of(bytes).ok_or(wrong)?),
            tag::REASON => self.reason = Some(text(bytes)),
            tag::ANNOTATION if self.annotations.len() < MOST_ANNOTATIONS => {
                self.annotations.push(annotation(bytes).ok_or(wrong)?);
            }
            tag::ATTACHMENT if self.attachments.len() < MOST_ATTACHMENTS => {
                self.attachments.push(text(bytes));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The length of the message that lies in a mailbox which begins with `head`, in bytes.
pub fn length_of_mail(head: &[u8; MESSAGE_AT]) -> Result<usize, Malformed> {
    let length = usize::try_from(number(head, LENGTH_AT, 4)).unwrap_or(usize::MAX);
    if length <= MOST_BYTES { Ok(length) } else { Err(Malformed::Length) }
}

/// A message of one field.
fn message(kind: u16, tag: u16, bytes: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 128];
    let Some(mut writer) = MessageWriter::new(&mut buffer, kind) else { return Vec::new() };
    writer.field(tag, &[bytes]);
    writer.finish().to_vec()
}

/// The bytes of the field `tag` of a message of a kind. Others are passed over; of two, the last counts.
fn only_field(message: &[u8], kind: u16, tag: u16) -> Result<&[u8], Malformed> {
    let fields = Fields::of(message)?;
    if fields.kind != kind {
        return Err(Malformed::Kind(fields.kind));
    }
    let mut found = Err(Malformed::Missing(tag));
    for field in fields {
        let (other, bytes) = field?;
        if other == tag {
            found = Ok(bytes);
        }
    }
    found
}

#[cfg(test)]
mod tests;
