use serde::{Deserialize, Serialize};

/// Bytes that are mostly UTF-8: a JSON string when they are, an array of numbers when not. So none of them is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Utf8(String),
    Raw(Vec<u8>),
}

impl Text {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text.to_owned()),
            Err(_) => Self::Raw(bytes.to_vec()),
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Utf8(text) => text.into_bytes(),
            Self::Raw(bytes) => bytes,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Utf8(text) => text.len(),
            Self::Raw(bytes) => bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        for bytes in [b"com.apple.main-thread".as_slice(), "\u{1f980}\0".as_bytes(), b"\xf0\x9f", b""] {
            let json = serde_json::to_string(&Text::new(bytes)).unwrap();
            assert_eq!(serde_json::from_str::<Text>(&json).unwrap().into_bytes(), bytes, "{json}");
        }
        assert_eq!(serde_json::to_string(&Text::new(b"a\xff")).unwrap(), "[97,255]");
    }
}
