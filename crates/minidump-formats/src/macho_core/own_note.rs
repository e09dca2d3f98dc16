//! The note of our own, of the owner [`OWN_NOTE`]: one JSON object.

use super::facts::Facts;
use crate::minidump::FormatError;

/// Owner's name in the note of our own.
pub const OWN_NOTE: &str = "minidump-writer";

/// Version of the object. Raised whenever a member changes its meaning or is removed.
pub const OWN_NOTE_VERSION: u32 = 1;

/// The object but for its end, which tells where the table of holes lies.
pub(super) struct OwnNote(Vec<u8>);

impl OwnNote {
    pub(super) fn new(facts: &Facts<'_>) -> Result<Self, FormatError> {
        let mut json = serde_json::to_vec(facts)?;
        // The brace at the end.
        json.pop();
        Ok(Self(json))
    }

    /// Size in bytes of what [`finish`](Self::finish) makes.
    pub(super) fn size(&self, holes: Option<u32>) -> u64 {
        self.0.len() as u64 + end(0, holes).len() as u64
    }

    /// The object. `table` is the offset in the file of the table, if there is one, with room for `holes` entries.
    pub(super) fn finish(mut self, table: u64, holes: Option<u32>) -> Vec<u8> {
        self.0.extend_from_slice(end(table, holes).as_bytes());
        self.0
    }
}

/// The last member. It is always as long, whatever the offset: the offset follows from the length.
fn end(table: u64, holes: Option<u32>) -> String {
    match holes {
        Some(capacity) => format!(r#","hole_table":{{"capacity":{capacity},"offset":{table:>20}}}}}"#),
        None => "}".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_as_long_for_all_offsets_and_is_json() {
        for table in [0, 7, u64::MAX] {
            let note = OwnNote(br#"{"version":1"#.to_vec());
            let size = note.size(Some(512));
            let json = note.finish(table, Some(512));
            assert_eq!(json.len() as u64, size);
            let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let expected =
                serde_json::json!({ "version": 1, "hole_table": { "capacity": 512, "offset": table } });
            assert_eq!(value, expected);
        }
        assert_eq!(OwnNote(b"{\"a\":1".to_vec()).finish(0, None), b"{\"a\":1}");
    }
}
