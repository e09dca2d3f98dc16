//! Bytes in JSON.

use serde::{Serialize, Serializer};
use std::fmt;

/// Raw bytes: a string when they are UTF-8, else an array of numbers, so that none are lost.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(pub &'a [u8]);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_seq(self.0),
        }
    }
}

/// Raw bytes as hexadecimal digits.
#[derive(Clone, Copy)]
pub(crate) struct Hexadecimal<'a>(pub &'a [u8]);

impl fmt::Display for Hexadecimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hexadecimal<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_numbers() {
        let json = |bytes| serde_json::to_string(&Text(bytes)).unwrap();
        assert_eq!(json("\"Zürich".as_bytes()), "\"\\\"Zürich\"");
        assert_eq!(json(b"a\xff"), "[97,255]");
        assert_eq!(serde_json::to_string(&Hexadecimal(&[0, 0xaf])).unwrap(), "\"00af\"");
    }
}
