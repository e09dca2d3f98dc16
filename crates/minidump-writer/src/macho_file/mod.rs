//! A Mach-O core as a source: of our own encoder, of LLDB's `process save-core`, of Apple's kernel.
//!
//! Registers come from `LC_THREAD`, memory and its map from segments. Our own note tells everything else. Where it is not
//! there, ids of threads, images and the main executable come from the notes that LLDB writes, or else images from dyld's
//! list and Mach-O headers in the core's memory. A core that is cut off yields what is in it.

mod commands;
mod crash;
mod image_header;
mod loaded;
mod modules;
mod notes;
mod registers;
mod snapshot;
#[cfg(test)]
mod tests;

use crate::convert::words::u64_at;
use crate::convert::{ConvertError, FileMemory, Held, InputFile, Piece, Source};
use crate::snapshot::{SoftError, Stage};
use crate::{DumpOptions, Format};
use commands::{Commands, Segment};
use minidump_formats::apple_record::{AppleRecord, HoleTable};
use minidump_formats::macho_core::OWN_NOTE;

/// Longest table of holes that is read, in bytes.
const MAX_HOLES: u64 = 16 << 20;

/// Reads a core.
///
/// # Errors
/// When it is no core of a 64-bit program, or so short that there is no thread in it.
pub(crate) fn read(file: InputFile, options: &DumpOptions) -> Result<Source, ConvertError> {
    let commands = Commands::read(&file)?;
    if commands.threads.iter().all(|thread| thread.cpu.is_none()) {
        return Err(ConvertError::Damaged { what: "it tells of no thread" });
    }
    let mut errors = Vec::new();
    if commands.missing > 0 {
        let message = format!("{} load commands of the core are missing or were not read", commands.missing);
        errors.push(SoftError::new(Stage::Target, message));
    }
    let record = own_record(&commands, &file, &mut errors);
    let listed = notes::images(&commands, &file);
    let (holes, is_full) = match &record {
        Some(record) => (record.hole_table(), record.plan().full_memory),
        None => (None, false),
    };
    let holes = holes.map(|table| read_holes(&file, table, &mut errors)).unwrap_or_default();
    let mut memory = memory(file, &commands.segments, &mut errors);
    memory.remove(&holes);
    let mut chosen = None;
    let mut snapshot = if let Some(record) = record {
        chosen = Some(memory.held()).filter(|_| !is_full);
        let found = record.into_snapshot(&commands.threads, listed);
        snapshot::of_ours(found.ok_or(ConvertError::Damaged { what: "its own note is not whole" })?)
    } else {
        let file = memory.dump().ok_or(ConvertError::NotADump)?;
        snapshot::of_others(&commands, listed, file, &memory)
    };
    if snapshot.threads.is_empty() {
        return Err(ConvertError::Damaged { what: "it tells of no thread" });
    }
    snapshot.soft_errors.append(&mut errors);
    snapshot::blame(&mut snapshot, options.blamed_thread);
    Ok(Source { snapshot, memory, chosen, format: Format::MachOCore })
}

/// The note of our own encoder.
fn own_record(commands: &Commands, file: &InputFile, errors: &mut Vec<SoftError>) -> Option<AppleRecord> {
    let owner = OWN_NOTE.as_bytes();
    let is_there = commands.notes.iter().any(|note| note.owner == owner);
    let note = commands.note(file, owner, notes::MAX_NOTE);
    let decode = |note: Vec<u8>| AppleRecord::decode(&note, |json| serde_json::from_slice(json).ok());
    let record = note.and_then(decode).filter(AppleRecord::is_whole);
    if is_there && record.is_none() {
        let message = "the note with the facts of the core is cut off or damaged";
        errors.push(SoftError::new(Stage::Target, message));
    }
    record
}

/// The memory in the segments.
fn memory(file: InputFile, segments: &[Segment], errors: &mut Vec<SoftError>) -> FileMemory {
    let size = file.size();
    let mut memory = FileMemory::new(file);
    let piece = |segment: &Segment| Piece {
        address: segment.address,
        size: segment.file_size.min(segment.memory_size),
        file: 0,
        offset: segment.offset,
    };
    let pieces: Vec<Piece> = segments.iter().map(piece).filter(|piece| piece.size > 0).collect();
    let behind_end = |piece: &&Piece| piece.offset.saturating_add(piece.size) > size;
    let lost = pieces.iter().filter(behind_end).count();
    if lost > 0 {
        let message = format!("the core is cut off: {lost} of its memory ranges lie behind its end");
        errors.push(SoftError::new(Stage::Memory, message));
    }
    memory.add(pieces);
    memory
}

/// What our own encoder could not read: number and bytes of all holes, then address and size of each.
fn read_holes(file: &InputFile, table: HoleTable, errors: &mut Vec<SoftError>) -> Held {
    let head = file.bytes(table.offset, 16);
    let size = u64::from(table.capacity).saturating_mul(16).min(MAX_HOLES);
    let entries = file.bytes(table.offset.saturating_add(16), size);
    let hole = |entry: &[u8]| {
        let start = u64_at(entry, 0)?;
        Some((start, start.checked_add(u64_at(entry, 8)?)?))
    };
    let holes: Vec<(u64, u64)> = entries.chunks_exact(16).filter_map(hole).collect();
    let listed = holes.iter().filter(|(start, end)| start < end).count() as u64;
    let unlisted = u64_at(&head, 0).map(|all| all.saturating_sub(listed));
    let message = match unlisted {
        Some(0) => return Held::new(holes),
        Some(count) => format!("{count} more ranges of zeros in the core are memory that could not be read"),
        None => "the core is cut off: which of its memory could not be read is not known".into(),
    };
    errors.push(SoftError::new(Stage::Memory, message));
    Held::new(holes)
}
