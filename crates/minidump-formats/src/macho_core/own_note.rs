//! The note of our own, of the owner [`OWN_NOTE`]: the [record](crate::apple_record).

use crate::apple_record::{self, HoleTable};

/// Owner's name in the note of our own.
pub const OWN_NOTE: &str = "minidump-writer";

/// The record but for its end, which tells where the table of holes lies.
pub(super) struct OwnNote(pub Vec<u8>);

impl OwnNote {
    /// Size in bytes of what [`finish`](Self::finish) makes.
    pub(super) fn size(&self, holes: Option<u32>) -> u64 {
        self.0.len() as u64 + end(0, holes).len() as u64
    }

    /// The record. `table` is the offset in the file of the table, if there is one, with room for `holes` entries.
    pub(super) fn finish(mut self, table: u64, holes: Option<u32>) -> Vec<u8> {
        self.0.extend(end(table, holes));
        self.0
    }
}

fn end(table: u64, holes: Option<u32>) -> Vec<u8> {
    holes.map(|capacity| apple_record::hole_table(HoleTable { offset: table, capacity })).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_is_as_long_for_all_offsets() {
        for table in [0, 7, u64::MAX] {
            let note = OwnNote(b"record".to_vec());
            let size = note.size(Some(512));
            assert_eq!(note.finish(table, Some(512)).len() as u64, size);
        }
        assert_eq!(OwnNote(b"record".to_vec()).finish(0, None), b"record");
    }
}
