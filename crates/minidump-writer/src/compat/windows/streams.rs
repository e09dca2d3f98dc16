//! Streams that the system's dumper takes from its caller.

use super::errors::Error;
use crate::UserStream;
use minidump_common::format::{BreakpadInfoValid, MINIDUMP_BREAKPAD_INFO, MINIDUMP_STREAM_TYPE};
use scroll::{LE, Pwrite as _};
use std::io;
use windows_sys::Win32::System::Threading::GetCurrentThreadId;

/// The last stream type that belongs to Microsoft (`LastReservedStream`).
const LAST_RESERVED: u32 = 0xffff;
/// Size of `MINIDUMP_BREAKPAD_INFO` in bytes.
const BREAKPAD_INFO_SIZE: usize = 12;

/// A stream, its bytes ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The stream type.
    pub kind: u32,
    /// The stream.
    pub bytes: Vec<u8>,
}

/// The streams of the application, checked and copied.
pub fn of_application(streams: &[UserStream<'_>]) -> Result<Vec<Stream>, Error> {
    let mut known =
        vec![MINIDUMP_STREAM_TYPE::BreakpadInfoStream as u32, MINIDUMP_STREAM_TYPE::MozSoftErrors as u32];
    let mut checked = Vec::new();
    for stream in streams {
        let kind = stream.stream_type;
        let refusal = if kind <= LAST_RESERVED {
            "types up to 0xffff belong to Microsoft"
        } else if known.contains(&kind) {
            "the dump has a stream of that type already"
        } else if u32::try_from(stream.bytes.len()).is_err() {
            "it is larger than 4 GiB"
        } else {
            known.push(kind);
            checked.push(Stream { kind, bytes: stream.bytes.to_vec() });
            continue;
        };
        let message = format!("the stream of type {kind:#x} cannot be in the dump: {refusal}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message).into());
    }
    Ok(checked)
}

/// Breakpad's: which thread writes the dump (the calling one) and for which. Readers leave out the former.
pub fn breakpad_info(requester: u32) -> Result<Stream, Error> {
    let info = MINIDUMP_BREAKPAD_INFO {
        validity: (BreakpadInfoValid::DumpThreadId | BreakpadInfoValid::RequestingThreadId).bits(),
        // SAFETY: no preconditions.
        dump_thread_id: unsafe { GetCurrentThreadId() },
        requesting_thread_id: requester,
    };
    let mut bytes = vec![0; BREAKPAD_INFO_SIZE];
    bytes.pwrite_with(info, 0, LE)?;
    Ok(Stream { kind: MINIDUMP_STREAM_TYPE::BreakpadInfoStream as u32, bytes })
}

/// What is missing from the dump, as all dumps of this crate tell it: JSON, in a stream that readers know.
///
/// Written by hand: with `serde_json` below it, `minidumper` does not compile for Windows (docs/architecture.md).
pub fn registers_missing(message: &str, thread: u32, address: Option<u64>) -> Stream {
    let address = address.map(|address| format!(",\"address\":{address}")).unwrap_or_default();
    let message = escaped(message);
    let json =
        format!("[{{\"stage\":\"registers\",\"message\":\"{message}\",\"thread\":{thread}{address}}}]");
    Stream { kind: MINIDUMP_STREAM_TYPE::MozSoftErrors as u32, bytes: json.into_bytes() }
}

/// The inside of a string of JSON.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => escaped.extend(['\\', character]),
            control if control < ' ' => escaped.extend(format!("\\u{:04x}", u32::from(control)).chars()),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(streams: &[UserStream<'_>]) -> String {
        of_application(streams).unwrap_err().to_string()
    }

    #[test]
    fn streams_of_types_that_are_taken_are_refused() {
        let stream = |stream_type| UserStream { stream_type, bytes: b"1" };
        assert!(refusal(&[stream(0xffff)]).contains("0xffff cannot be in the dump: types up to 0xffff"));
        assert!(refusal(&[stream(0x4767_0001)]).ends_with("already"));
        assert!(refusal(&[stream(0x4d7a_0004)]).ends_with("already"));
        assert!(refusal(&[stream(0x1_0000), stream(0x1_0001), stream(0x1_0000)]).contains("0x10000"));
        let taken = of_application(&[stream(0x1_0000), stream(0x1_0001)]).unwrap();
        assert_eq!(taken.iter().map(|stream| stream.kind).collect::<Vec<_>>(), [0x1_0000, 0x1_0001]);
        assert!(taken.iter().all(|stream| stream.bytes == b"1"));
    }

    #[test]
    fn breakpad_is_told_who_writes_for_whom() {
        let stream = breakpad_info(0x1234).unwrap();
        assert_eq!(stream.kind, 0x4767_0001);
        // SAFETY: no preconditions.
        let own = unsafe { GetCurrentThreadId() };
        let words: Vec<u8> = [3, own, 0x1234].into_iter().flat_map(u32::to_le_bytes).collect();
        assert_eq!(stream.bytes, words);
    }

    #[test]
    fn what_is_missing_is_told_as_in_every_other_dump() {
        use crate::snapshot::{SoftError, Stage};
        let message = "no \"registers\"\r\nin C:\\x – none";
        let told = |address: Option<u64>| -> SoftError {
            let stream = registers_missing(message, 7, address);
            assert_eq!(stream.kind, 0x4d7a_0004);
            let [error] = serde_json::from_slice(&stream.bytes).unwrap();
            error
        };
        let expected = SoftError::new(Stage::Registers, message).thread(7);
        assert_eq!(told(None), expected);
        assert_eq!(told(Some(0x18)), SoftError { address: Some(0x18), ..expected });
    }
}
