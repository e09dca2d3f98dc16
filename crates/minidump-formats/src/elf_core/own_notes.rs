//! Notes of our own, of the owner [`OWNER`]. Their types are the stream types of the minidump, so a text has the same
//! number in both formats.

use super::facts::facts;
use super::note::Notes;
use crate::minidump::{FormatError, HOLE_TABLE_STREAM, HoleLocator};
use crate::{json, soft_errors};
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use minidump_snapshot::{LinuxFacts, MemoryPlan, Snapshot, SoftError};
use scroll::Pwrite;

/// Owner's name in the notes of our own, with its terminating NUL.
pub const OWNER: &[u8] = b"minidump-writer\0";

/// What could not be captured: a JSON array as in the minidump's stream of this type.
pub const SOFT_ERRORS_NOTE: u32 = 0x4d7a_0004;

/// Where the table of holes lies: a [`HoleLocator`].
pub const HOLE_TABLE_NOTE: u32 = HOLE_TABLE_STREAM;

/// Facts for which cores have no note: a JSON object. It has no memory, no registers and no environment.
pub const FACTS_NOTE: u32 = 0x4d44_0010;

/// Size in bytes of the note with the locator: header, owner, contents.
const LOCATOR_NOTE_SIZE: usize = 12 + 16 + 24;

/// All but the locator of the hole table.
pub(crate) fn own_notes(snapshot: &Snapshot, plan: &MemoryPlan, encoded: &[SoftError]) -> Vec<u8> {
    let mut notes = Notes::default();
    push(&mut notes, SOFT_ERRORS_NOTE, &soft_errors::json(&snapshot.soft_errors, encoded));
    push(&mut notes, FACTS_NOTE, &json::text(&facts(snapshot, plan)));
    for (kind, text) in snapshot.linux.iter().flat_map(texts) {
        push(&mut notes, kind.into(), text);
    }
    notes.finish()
}

/// The note that tells where the table of holes lies.
pub(crate) fn locator(table_offset: u64, capacity: u32) -> Result<Vec<u8>, FormatError> {
    let locator = HoleLocator { size_of_info: 24, size_of_entry: 16, table_offset, capacity, reserved: 0 };
    let mut contents = [0; 24];
    contents.pwrite_with(locator, 0, scroll::LE)?;
    let mut notes = Notes::default();
    push(&mut notes, HOLE_TABLE_NOTE, &contents);
    Ok(notes.finish())
}

/// Size in bytes of [`locator`].
pub(crate) fn locator_size(with_holes: bool) -> usize {
    if with_holes { LOCATOR_NOTE_SIZE } else { 0 }
}

/// Texts beyond 4 GiB do not exist; one that did would be left out.
fn push(notes: &mut Notes, kind: u32, contents: &[u8]) {
    notes.push(OWNER, kind, contents);
}

/// The texts of /proc that have no note of their own in Linux' cores. Not the environment, which is full of secrets.
fn texts(facts: &LinuxFacts) -> impl Iterator<Item = (MINIDUMP_STREAM_TYPE, &[u8])> {
    let texts = [
        (MINIDUMP_STREAM_TYPE::LinuxCmdLine, &facts.cmdline),
        (MINIDUMP_STREAM_TYPE::LinuxProcStatus, &facts.status),
        (MINIDUMP_STREAM_TYPE::LinuxLsbRelease, &facts.lsb_release),
        (MINIDUMP_STREAM_TYPE::MozLinuxLimits, &facts.limits),
        (MINIDUMP_STREAM_TYPE::LinuxCpuInfo, &facts.cpu_info),
        (MINIDUMP_STREAM_TYPE::LinuxMaps, &facts.maps),
    ];
    texts.into_iter().filter_map(|(kind, text)| Some((kind, text.as_deref()?)))
}
