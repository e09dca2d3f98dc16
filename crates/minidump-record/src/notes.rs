//! What the dump lacks: soft errors, as the JSON stream that readers of the other writers know.
//!
//! Room for them is taken near the start of the file, and filled at the end. Until then it says that the dump was not
//! finished, so that a recorder that dies leaves a true statement.

use crate::bytes::{Text, copy};
use crate::sys::Errno;

/// Bytes of the stream. JSON readers skip the blanks at its end.
pub(crate) const NOTES_SIZE: usize = 2048;
/// Kept free for the sentence on what did not fit.
const RESERVE: usize = 128;

/// The part of the work a soft error belongs to. The names are those of `minidump_snapshot::Stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    ThreadFacts,
    MemoryMap,
    Memory,
    Module,
    ProcFile,
    Target,
    Format,
}

impl Stage {
    fn name(self) -> &'static [u8] {
        match self {
            Self::ThreadFacts => b"thread_facts",
            Self::MemoryMap => b"memory_map",
            Self::Memory => b"memory",
            Self::Module => b"module",
            Self::ProcFile => b"proc_file",
            Self::Target => b"target",
            Self::Format => b"format",
        }
    }
}

/// A soft error. The texts are ours, so that nothing in them needs escapes.
pub(crate) struct Note {
    stage: Stage,
    message: &'static str,
    number: Option<u64>,
    os_error: Option<Errno>,
    address: Option<u64>,
}

impl Note {
    pub(crate) fn new(stage: Stage, message: &'static str) -> Self {
        Self { stage, message, number: None, os_error: None, address: None }
    }

    /// A message that ends with a count.
    pub(crate) fn counted(stage: Stage, message: &'static str, number: u64) -> Self {
        Self { number: Some(number), ..Self::new(stage, message) }
    }

    pub(crate) fn os_error(self, error: Errno) -> Self {
        Self { os_error: Some(error), ..self }
    }

    pub(crate) fn address(self, address: u64) -> Self {
        Self { address: Some(address), ..self }
    }

    fn encode(&self) -> Text<384> {
        let mut text = Text::new();
        text.push(b"{\"stage\":\"").push(self.stage.name());
        text.push(b"\",\"message\":\"").push(self.message.as_bytes());
        if let Some(number) = self.number {
            text.push(b": ").number(number);
        }
        text.push(b"\"");
        if let Some(address) = self.address {
            text.push(b",\"address\":").number(address);
        }
        if let Some(Errno(code)) = self.os_error {
            text.push(b",\"os_error\":").number(code.unsigned_abs().into());
        }
        text.push(b"}");
        text
    }
}

/// The notes as they will be written.
pub(crate) struct Notes {
    bytes: [u8; NOTES_SIZE],
    used: usize,
    lost: u64,
}

impl Notes {
    pub(crate) fn clear(&mut self) {
        self.bytes.fill(b' ');
        self.used = 0;
        self.lost = 0;
    }

    pub(crate) fn add(&mut self, note: &Note) {
        if !self.push(note, NOTES_SIZE.saturating_sub(RESERVE)) {
            self.lost = self.lost.saturating_add(1);
        }
    }

    fn push(&mut self, note: &Note, limit: usize) -> bool {
        let text = note.encode();
        // The list's opening bracket or a comma, the note, and the closing bracket.
        let end = self.used.saturating_add(text.as_bytes().len()).saturating_add(1);
        if end >= limit || !text.has_room() {
            return false;
        }
        let mark = if self.used == 0 { b"[" } else { b"," };
        for part in [mark.as_slice(), text.as_bytes()] {
            let done = self.bytes.get_mut(self.used..).map_or(0, |rest| copy(rest, part));
            self.used = self.used.saturating_add(done);
        }
        true
    }

    /// The stream, with what was added so far.
    pub(crate) fn stream(&mut self) -> &[u8; NOTES_SIZE] {
        if self.lost > 0 {
            let note = Note::counted(Stage::Format, "more soft errors, without room", self.lost);
            self.lost = 0;
            self.push(&note, NOTES_SIZE);
        }
        let end: &[u8] = if self.used == 0 { b"[]" } else { b"]" };
        if let Some(rest) = self.bytes.get_mut(self.used..) {
            copy(rest, end);
        }
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn empty() -> Notes {
        let mut notes = Notes { bytes: [0; NOTES_SIZE], used: 7, lost: 7 };
        notes.clear();
        notes
    }

    #[test]
    fn notes_are_a_json_array_of_soft_errors() {
        let mut notes = empty();
        assert_eq!(serde_json::from_slice::<Value>(notes.stream()).unwrap(), json!([]));
        notes.add(&Note::new(Stage::ProcFile, "no map").os_error(Errno::MFILE));
        notes.add(&Note::counted(Stage::Module, "modules", 7).address(u64::MAX));
        let expected = json!([
            {"stage": "proc_file", "message": "no map", "os_error": 24},
            {"stage": "module", "message": "modules: 7", "address": u64::MAX},
        ]);
        assert_eq!(serde_json::from_slice::<Value>(notes.stream()).unwrap(), expected);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut notes = empty();
        for _ in 0..100 {
            notes.add(&Note::new(Stage::Memory, "a message of some length that fills the room"));
        }
        let all: Value = serde_json::from_slice(notes.stream()).unwrap();
        let all = all.as_array().unwrap();
        assert_eq!(
            all.last().unwrap()["message"],
            format!("more soft errors, without room: {}", 101 - all.len())
        );
    }

    #[test]
    fn every_stage_is_one_that_readers_know() {
        let stages = [
            Stage::ThreadFacts,
            Stage::MemoryMap,
            Stage::Memory,
            Stage::Module,
            Stage::ProcFile,
            Stage::Target,
            Stage::Format,
        ];
        for stage in stages {
            let debug = std::format!("{stage:?}").to_lowercase();
            let name = std::str::from_utf8(stage.name()).unwrap().replace('_', "");
            assert_eq!(name, debug);
        }
    }
}
