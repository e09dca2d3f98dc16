//! `LC_NOTE` and what is in it: those that LLDB reads, but for the one about images.

use super::mach_o::{NOTE_COMMAND_SIZE, note_command};
use crate::elf_core::Fields;
use crate::json::{self, Object};
use minidump_snapshot::{Snapshot, Thread};

/// Alignment of the contents in the file, in bytes.
pub(crate) const ALIGNMENT: u64 = 16;

/// Owners' names.
pub(crate) const ADDRESS_BITS: &str = "addrable bits";
pub(crate) const PROCESS: &str = "process metadata";
pub(crate) const IMAGES: &str = "all image infos";
pub(crate) const MAIN_BINARY: &str = "main bin spec";

/// Notes in the making: the commands, and the contents one behind the other.
#[derive(Debug)]
pub(crate) struct Notes {
    /// Offset in the file of `contents`, a multiple of 16.
    start: u64,
    commands: Vec<u8>,
    contents: Vec<u8>,
}

impl Notes {
    /// Notes whose contents begin at `start` of the file.
    pub(crate) fn new(start: u64) -> Self {
        Self { start, commands: Vec::new(), contents: Vec::new() }
    }

    /// Where the contents of the next note lie in the file.
    pub(crate) fn next_offset(&self) -> u64 {
        self.start.saturating_add(self.contents.len() as u64).next_multiple_of(ALIGNMENT)
    }

    pub(crate) fn push(&mut self, owner: &str, contents: &[u8]) {
        let offset = self.next_offset();
        let padded = self.contents.len().next_multiple_of(16);
        self.contents.resize(padded, 0);
        self.contents.extend_from_slice(contents);
        self.commands.extend(note_command(owner, offset, contents.len() as u64));
    }

    /// The commands, and the contents.
    pub(crate) fn finish(self) -> (Vec<u8>, Vec<u8>) {
        (self.commands, self.contents)
    }
}

/// Size in bytes of the commands of `count` notes.
pub(crate) fn commands_size(count: u64) -> u64 {
    count.saturating_mul(NOTE_COMMAND_SIZE.into())
}

/// How many bits of a pointer are an address, in version 3, which LLDB reads since 2019: version, bits, reserved. `None`
/// when they are not known.
pub(crate) fn address_bits(snapshot: &Snapshot) -> Option<Vec<u8>> {
    let bits = snapshot.apple.as_ref()?.address_bits?;
    Some(Fields::with_capacity(16).u32(3).u32(bits.into()).u64(0).finish())
}

/// The threads' ids, one for each `LC_THREAD`, in their order: with another number LLDB would ignore all of them.
pub(crate) fn process<'a>(threads: impl Iterator<Item = &'a Thread>) -> Vec<u8> {
    let threads: Vec<_> =
        threads.map(|thread| Object::default().field("thread_id", thread_id(thread))).collect();
    json::text(&Object::default().field("threads", threads))
}

/// With all its bits, where they are known.
fn thread_id(thread: &Thread) -> u64 {
    thread.apple.as_ref().map(|facts| facts.id).filter(|id| *id != 0).unwrap_or(thread.id.into())
}
