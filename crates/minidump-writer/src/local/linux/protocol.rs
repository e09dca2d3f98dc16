//! What the helper says: frames of one byte of kind, four bytes of length (in the processor's order: both sides are the
//! same program), and as many bytes.

use crate::DumpReport;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// Most bytes of the dump in a frame.
pub const MOST_DATA: usize = 64 << 10;
/// Most bytes of any frame: soft errors are the longest, and there are not that many.
const MOST: u32 = 64 << 20;

/// The answer to [`Kind::Permission`].
pub const GRANTED: u8 = 1;

/// Kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The kernel refuses the helper; it waits until its parent has asked Yama to let it trace.
    Permission = 1,
    /// Bytes of the dump.
    Data = 2,
    /// The last frame: an [`Ending`] as JSON.
    Ending = 3,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ending {
    /// The dump is complete.
    Done(DumpReport),
    /// The helper may not trace its parent, for this reason.
    Denied(String),
    /// The process is being traced already.
    Traced {
        /// Who traces it.
        tracer: u32,
        /// The tracer's name.
        name: String,
    },
    /// Anything else.
    Failed(String),
}

/// Sends one frame.
pub fn send(socket: &mut impl Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).ok().filter(|length| *length <= MOST);
    let [a, b, c, d] = length.ok_or_else(malformed)?.to_ne_bytes();
    socket.write_all(&[kind as u8, a, b, c, d])?;
    socket.write_all(payload)
}

/// Receives one frame; `payload` is replaced.
///
/// # Errors
/// `UnexpectedEof` when the other side has gone, `InvalidData` for what is no frame, and what `socket` says.
pub fn receive(socket: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<Kind> {
    let mut head = [0; 5];
    socket.read_exact(&mut head)?;
    let [kind, a, b, c, d] = head;
    let kind = match kind {
        1 => Kind::Permission,
        2 => Kind::Data,
        3 => Kind::Ending,
        _ => return Err(malformed()),
    };
    let length = u32::from_ne_bytes([a, b, c, d]);
    if length > MOST {
        return Err(malformed());
    }
    payload.clear();
    let received = socket.take(u64::from(length)).read_to_end(payload)?;
    if u32::try_from(received).ok() == Some(length) {
        Ok(kind)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// The error for bytes that are no frame, or no ending.
pub fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_were_sent() {
        let mut bytes = Vec::new();
        send(&mut bytes, Kind::Data, b"abc").unwrap();
        send(&mut bytes, Kind::Permission, b"").unwrap();
        assert_eq!(bytes.len(), 5 + 3 + 5);
        let (mut input, mut payload) = (bytes.as_slice(), Vec::new());
        assert_eq!(receive(&mut input, &mut payload).unwrap(), Kind::Data);
        assert_eq!(payload, b"abc");
        assert_eq!(receive(&mut input, &mut payload).unwrap(), Kind::Permission);
        assert_eq!(payload, b"");
        let end = receive(&mut input, &mut payload).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn truncated_and_foreign_bytes_are_refused() {
        let mut bytes = Vec::new();
        send(&mut bytes, Kind::Data, b"abc").unwrap();
        let mut payload = Vec::new();
        let cut = receive(&mut &bytes[..bytes.len() - 1], &mut payload).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        let foreign = receive(&mut &[9, 0, 0, 0, 0][..], &mut payload).unwrap_err();
        assert_eq!(foreign.kind(), io::ErrorKind::InvalidData);
        let huge = receive(&mut &[2, 0xff, 0xff, 0xff, 0xff][..], &mut payload).unwrap_err();
        assert_eq!(huge.kind(), io::ErrorKind::InvalidData);
    }
}
