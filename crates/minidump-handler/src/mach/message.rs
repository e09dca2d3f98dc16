//! The header, the port descriptors and the trailer that all messages share (mach/message.h).

use super::words::{Words, put};

/// `mach_port_t`: the name of a right in this process.
pub type Port = u32;

/// MACH_MSGH_BITS_COMPLEX: descriptors follow.
pub(super) const COMPLEX: u32 = 0x8000_0000;
/// What becomes of a right that is sent (`MACH_MSG_TYPE_*`).
pub(super) const MOVE_SEND: u32 = 17;
pub(super) const MOVE_SEND_ONCE: u32 = 18;
pub(super) const COPY_SEND: u32 = 19;
pub(super) const MAKE_SEND_ONCE: u32 = 21;
/// MACH_MSG_PORT_DESCRIPTOR.
const IS_PORT: u32 = 0;
/// MACH_MSG_TRAILER_FORMAT_0, and the bytes of `mach_msg_audit_trailer_t`.
const TRAILER_FORMAT: u32 = 0;
pub(super) const AUDIT_TRAILER: usize = 52;

/// The part of a header that means something to its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub bits: u32,
    pub size: u32,
    /// In a received message, where the answer goes.
    pub remote: Port,
    pub id: u32,
}

impl Header {
    pub fn read(words: &mut Words<'_>) -> Option<Self> {
        let (bits, size, remote) = (words.u32()?, words.u32()?, words.u32()?);
        let (_local, _voucher, id) = (words.u32()?, words.u32()?, words.u32()?);
        Some(Self { bits, size, remote, id })
    }

    pub fn is_complex(self) -> bool {
        self.bits & COMPLEX != 0
    }

    /// How the right to answer came (`MACH_MSGH_BITS_REMOTE`).
    pub fn remote_disposition(self) -> u32 {
        self.bits & 0x1f
    }

    /// The right in a message that could not be sent in time and was given back, by which it was to be answered.
    #[cfg(target_os = "macos")]
    pub fn given_back_answer(message: &[u8]) -> Option<Port> {
        let mut words = Words::new(message);
        let (bits, _, _, local) = (words.u32()?, words.u32()?, words.u32()?, words.u32()?);
        matches!(bits >> 8 & 0x1f, MOVE_SEND | MOVE_SEND_ONCE).then_some(local)
    }
}

/// Begins a message of kind `id` to `remote`, whose right is used as `disposition` says. Its size is entered by [`finish`].
pub(super) fn begin(bits: u32, remote: Port, local: Port, id: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    put(&mut message, &[bits, 0, remote, local, 0, id]);
    message
}

/// Enters the size. `None` when the message is too long to have one.
pub(super) fn finish(mut message: Vec<u8>) -> Option<Vec<u8>> {
    let size = u32::try_from(message.len()).ok()?;
    message.get_mut(4..8)?.copy_from_slice(&size.to_le_bytes());
    Some(message)
}

/// Appends the descriptor of a right.
pub(super) fn put_port(message: &mut Vec<u8>, port: Port, disposition: u32) {
    put(message, &[port, 0, disposition << 16 | IS_PORT << 24]);
}

/// Reads the descriptor of a right to send, as it is received. `None` when it is one of something else: of memory, or of a right
/// that is given back in another way.
pub(super) fn port(words: &mut Words<'_>) -> Option<Port> {
    let (name, _, kind) = (words.u32()?, words.u32()?, words.u32()?);
    (kind >> 24 == IS_PORT && kind >> 16 & 0xff == MOVE_SEND).then_some(name)
}

/// Who sent a message: the kernel itself wrote it (`audit_token_t`, whose fields bsm/libbsm.h tells).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Effective user id.
    pub euid: u32,
    /// Process id.
    pub pid: i32,
    /// Which of the processes that had this id one after the other.
    pub pid_version: u32,
}

impl Sender {
    /// Reads the trailer that lies behind a message of `size` bytes in `received`. `None` when it does not tell the sender.
    pub(super) fn of(received: &[u8], size: u32) -> Option<Self> {
        let start = usize::try_from(size).ok()?.checked_next_multiple_of(4)?;
        let trailer = received.get(start..start.checked_add(AUDIT_TRAILER)?)?;
        let mut words = Words::new(trailer);
        let (format, length) = (words.u32()?, words.u32()?);
        if format != TRAILER_FORMAT || usize::try_from(length).ok()? < AUDIT_TRAILER {
            return None;
        }
        words.skip(12)?;
        let token: Vec<u32> = (0..8).map(|_| words.u32()).collect::<Option<_>>()?;
        let [_, euid, _, _, _, pid, _, pid_version] = token.as_slice() else { return None };
        Some(Self { euid: *euid, pid: pid.cast_signed(), pid_version: *pid_version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_is_read_from_the_kernels_trailer() {
        let mut received = vec![0xaa; 27];
        received.push(0);
        put(&mut received, &[0, 52, 7, 501, 20, 1, 501, 2, 502, 20, 4711, 9, 3]);
        let sender = Sender { euid: 501, pid: 4711, pid_version: 3 };
        assert_eq!(Sender::of(&received, 28), Some(sender));
        assert_eq!(Sender::of(&received, 27), Some(sender), "trailers are aligned");
        assert_eq!(Sender::of(&received, 32), None, "behind the end");
        assert_eq!(Sender::of(&received, u32::MAX), None);
    }

    #[test]
    fn a_short_trailer_tells_no_sender() {
        let mut received = Vec::new();
        put(&mut received, &[0, 20, 7, 501, 20, 1, 501, 2, 502, 20, 4711, 9, 3]);
        assert_eq!(Sender::of(&received, 0), None);
    }

    #[test]
    fn only_a_descriptor_of_a_right_to_send_is_one() {
        let mut message = Vec::new();
        put_port(&mut message, 0x1203, COPY_SEND);
        assert_eq!(message, [0x03, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 19, 0]);
        message[10] = 17;
        assert_eq!(port(&mut Words::new(&message)), Some(0x1203));
        for other in [16, 18] {
            message[10] = other;
            assert_eq!(port(&mut Words::new(&message)), None, "to receive, to send once");
        }
        message[10..].copy_from_slice(&[17, 1]);
        assert_eq!(port(&mut Words::new(&message)), None, "of memory");
    }
}
