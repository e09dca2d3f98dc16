//! Metadata that are written in a crash, as JSON in memory that was set aside: it allocates nothing and cannot panic.

use crate::store::Metadata;
use minidump_record::Annotations;
use std::fmt::Write as _;

/// The metadata as JSON, without its last brace and without what is only known at the crash.
pub fn known(metadata: &Metadata) -> String {
    let mut value = serde_json::to_value(metadata).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        for late in ["when_us", "pid", "tid", "signal", "partial", "reason", "annotations"] {
            fields.remove(late);
        }
    }
    let text = value.to_string();
    text.strip_suffix('}').unwrap_or("{\"version\":1").to_owned()
}

/// JSON in memory that was set aside.
#[derive(Debug)]
pub struct Json<'b> {
    bytes: &'b mut [u8],
    length: usize,
    whole: bool,
}

impl<'b> Json<'b> {
    /// None yet.
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, length: 0, whole: true }
    }

    /// What was written, if all of it had room.
    pub fn finish(self) -> Option<&'b [u8]> {
        let Self { bytes, length, whole } = self;
        let bytes: &'b [u8] = bytes;
        bytes.get(..length).filter(|_| whole)
    }

    /// The fields of an object: keys and values.
    pub fn annotations(&mut self, annotations: &Annotations) {
        let mut is_first = true;
        annotations.for_each(|key, value| {
            if let (Ok(key), Ok(value)) = (std::str::from_utf8(key), std::str::from_utf8(value)) {
                self.raw(if is_first { "\"" } else { ",\"" });
                self.escaped(key);
                self.raw("\":\"");
                self.escaped(value);
                self.raw("\"");
                is_first = false;
            }
        });
    }

    /// A piece that is JSON already.
    pub fn raw(&mut self, text: &str) {
        let end = self.length.saturating_add(text.len());
        match self.bytes.get_mut(self.length..end) {
            Some(room) => {
                room.iter_mut().zip(text.as_bytes()).for_each(|(to, from)| *to = *from);
                self.length = end;
            }
            None => self.whole = false,
        }
    }

    fn escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '"' => self.raw("\\\""),
                '\\' => self.raw("\\\\"),
                '\0'..='\u{1f}' => {
                    let _ = write!(self, "\\u{:04x}", u32::from(character));
                }
                _ => self.raw(character.encode_utf8(&mut [0; 4])),
            }
        }
    }
}

impl std::fmt::Write for Json<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.raw(text);
        Ok(())
    }
}
