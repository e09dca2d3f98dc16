//! The account of a crash, and the wish of a program that goes on.

use super::sys;
use crate::protocol::windows::{EXCEPTION, ExceptionAt};
use crate::protocol::{MOST_BYTES, MessageWriter, RequestKind, tag};
use minidump_record::Annotations;
use std::io;
use std::path::PathBuf;

/// Writes the account of a crash, without allocating. Returns its length.
pub fn of_crash(
    buffer: &mut [u8],
    (thread, exception): (u32, ExceptionAt),
    about: About,
    annotations: &Annotations,
) -> usize {
    let Some(mut writer) = MessageWriter::new(buffer, RequestKind::Crash as u16) else { return 0 };
    writer.field(tag::THREAD, &[&thread.to_le_bytes()]);
    writer.field(EXCEPTION, &[&exception.to_bytes()]);
    about.append(&mut writer, annotations);
    writer.finish().len()
}

/// The wish for a dump of a program that goes on.
pub fn of_wish(
    kind: RequestKind,
    (thread, reason): (u32, &str),
    about: About,
    annotations: &Annotations,
) -> Vec<u8> {
    let mut buffer = vec![0; MOST_BYTES];
    let Some(mut writer) = MessageWriter::new(&mut buffer, kind as u16) else { return Vec::new() };
    writer.field(tag::THREAD, &[&thread.to_le_bytes()]);
    writer.field(tag::REASON, &[reason.as_bytes()]);
    about.append(&mut writer, annotations);
    let length = writer.finish().len();
    buffer.truncate(length);
    buffer
}

/// What a program said of itself when it installed the client: fields of a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct About(&'static [u8]);

impl About {
    /// Makes the fields. Paths that are no text are left out: the handler could not open them.
    pub fn new(attachments: &[PathBuf]) -> io::Result<Self> {
        let mut buffer = vec![0; MOST_BYTES / 2];
        let Some(mut writer) = MessageWriter::new(&mut buffer, 0) else { return Ok(Self::default()) };
        for path in attachments.iter().filter_map(|path| path.to_str()) {
            writer.field(tag::ATTACHMENT, &[path.as_bytes()]);
        }
        Ok(Self(sys::place_bytes(writer.fields())?))
    }

    fn append(self, writer: &mut MessageWriter<'_>, annotations: &Annotations) {
        writer.append(self.0);
        annotations.for_each(|key, value| {
            writer.field(tag::ANNOTATION, &[key, &[0], value]);
        });
    }
}
