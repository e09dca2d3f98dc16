//! What the handler answers.

use super::fields::{Fields, Malformed};
use super::request::text;
use super::{HEADER, MOST_BYTES, MessageWriter};

/// Tag of the only field of a reply, a text: where the dump is, or why there is none.
const TEXT: u16 = 1;

/// What the handler says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum ReplyKind {
    /// The request has been read and will be answered.
    Accepted = 0x81,
    /// It still is being worked at, or waits for its turn.
    Waiting = 0x82,
    /// There is a dump, which survives the end of both processes. The text is its path.
    Done = 0x83,
    /// There shall be no dump: the program crashes too often, for instance. The text says why.
    Declined = 0x84,
    /// There is no dump, and the program had better make one itself. The text says why.
    Failed = 0x85,
    /// The first thing that a handler says on a connection: it runs. Its credentials tell who it is.
    Hello = 0x86,
}

impl ReplyKind {
    /// The kind of a message, by its header alone: it allocates nothing, so that a signal handler may ask.
    pub fn of(message: &[u8]) -> Option<Self> {
        let fields = Fields::of(message).ok()?;
        let kinds = [Self::Accepted, Self::Waiting, Self::Done, Self::Declined, Self::Failed, Self::Hello];
        kinds.into_iter().find(|kind| *kind as u16 == fields.kind)
    }
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub kind: ReplyKind,
    pub text: String,
}

impl Reply {
    /// The message. A text that is too long is cut.
    pub fn encode(&self) -> Vec<u8> {
        let mut buffer = vec![0; HEADER + self.text.len().min(MOST_BYTES / 4) + 64];
        let end = (0..=MOST_BYTES / 4).rev().find(|end| self.text.is_char_boundary(*end)).unwrap_or(0);
        let text = self.text.get(..end).unwrap_or(&self.text);
        let Some(mut writer) = MessageWriter::new(&mut buffer, self.kind as u16) else { return Vec::new() };
        if !text.is_empty() {
            writer.field(TEXT, &[text.as_bytes()]);
        }
        writer.finish().to_vec()
    }

    /// Reads a message.
    pub fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let fields = Fields::of(message)?;
        let kind = ReplyKind::of(message).ok_or(Malformed::Kind(fields.kind))?;
        let mut reply = Self { kind, text: String::new() };
        for field in fields {
            if let (TEXT, bytes) = field? {
                reply.text = text(bytes);
            }
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_as_it_was_written() {
        let reply = Reply { kind: ReplyKind::Done, text: "/var/crash/pending/x.dmp".into() };
        let message = reply.encode();
        assert_eq!(Reply::decode(&message), Ok(reply));
        assert_eq!(ReplyKind::of(&message), Some(ReplyKind::Done));
        let silent = Reply { kind: ReplyKind::Accepted, text: String::new() };
        assert_eq!(Reply::decode(&silent.encode()), Ok(silent));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let reply = Reply { kind: ReplyKind::Failed, text: "é".repeat(MOST_BYTES) };
        let message = reply.encode();
        assert!(message.len() < MOST_BYTES / 2, "{}", message.len());
        assert!(Reply::decode(&message).unwrap().text.starts_with("éé"));
    }

    #[test]
    fn a_request_is_no_reply() {
        let mut buffer = [0; 64];
        let message = MessageWriter::new(&mut buffer, 1).unwrap().finish();
        assert_eq!(ReplyKind::of(message), None);
        assert_eq!(Reply::decode(message), Err(Malformed::Kind(1)));
    }
}
