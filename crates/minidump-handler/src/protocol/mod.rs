//! What a crashing program and the handler process say to each other.
//!
//! Messages are datagrams of AF_UNIX SOCK_SEQPACKET sockets, at most [`MOST_BYTES`] long, all numbers little-endian.
//! `docs/handler-protocol.md` describes them for programs in other languages.
//!
//! A message is a header of 16 bytes (magic, version, kind, length of the whole, zero) and fields. A field is a header of
//! 8 bytes (tag as u16, zero as u16, length of its bytes as u32), its bytes, and zeros up to a multiple of 8. Fields with
//! unknown tags are passed over; a message of another major version, of another length than it says, or with a field that
//! does not fit is refused as a whole.

mod fields;
mod reply;
mod request;
#[cfg(any(windows, test))]
pub(crate) mod windows;
mod writer;

#[cfg(any(target_os = "macos", windows, test))]
pub use fields::Malformed;
#[cfg(any(target_os = "macos", test))]
pub(crate) use fields::{Fields, number};
pub(crate) use reply::{Reply, ReplyKind};
#[cfg(any(target_os = "macos", test))]
pub(crate) use request::text;
pub(crate) use request::{Request, RequestKind, tag};
pub(crate) use writer::MessageWriter;

/// First four bytes of each message: "MDWH".
pub const MAGIC: u32 = u32::from_le_bytes(*b"MDWH");
/// Version of the messages that this code writes and reads.
pub const VERSION: u16 = 1;
/// The longest message, in bytes. The kernel keeps datagrams whole, so a longer one cannot be mistaken for a short one.
pub const MOST_BYTES: usize = 96 << 10;
/// Bytes of the header of a message.
pub(crate) const HEADER: usize = 16;
/// Bytes of the header of a field.
pub(crate) const FIELD_HEADER: usize = 8;

/// The next multiple of 8.
pub(crate) const fn padded(length: usize) -> usize {
    length.saturating_add(7) & !7
}
