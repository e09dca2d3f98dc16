//! A minidump as a source: of this program, or of another that writes minidumps of x86-64 Linux programs or of programs of
//! Apple's systems.
//!
//! It is read stream by stream, at the places that the directory tells. Nothing of the memory is read before it is
//! written into the new dump.

mod amd64;
mod apple;
mod arm64;
mod exception;
mod linux;
mod modules;
mod processor;
mod regions;
mod streams;
mod system;
#[cfg(test)]
mod tests;
mod threads;

use crate::Format;
use crate::convert::words::{u32_at, u64_at};
use crate::convert::{ConvertError, FileMemory, Held, InputFile, Piece, Source};
use crate::snapshot::{OperatingSystem, Snapshot, SoftError, Stage};
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use minidump_formats::minidump::HOLE_TABLE_STREAM;
use processor::Processor;
use streams::Streams;

/// `MiniDumpWithFullMemory` of the header's flags.
const FULL_MEMORY: u64 = 2;
/// Most annotations that are read.
const MAX_ANNOTATIONS: usize = 4096;
/// Most holes that are read.
const MAX_HOLES: u64 = 1 << 20;

/// Reads a minidump.
///
/// # Errors
/// When it is not of an x86-64 Linux program or a program of Apple's systems, or so short that there is nothing in it.
pub(crate) fn read(file: InputFile) -> Result<Source, ConvertError> {
    let mut memory = FileMemory::new(file);
    let Some(file) = memory.dump() else { return Err(ConvertError::NotADump) };
    let streams = Streams::open(file)?;
    let (system, process) = system::read(&streams)?;
    let other = ConvertError::OtherMachine { what: "another processor" };
    let processor = Processor::of(&system).ok_or(other)?;
    let is_apple = matches!(system.os, OperatingSystem::MacOs | OperatingSystem::Ios);
    let mut snapshot = Snapshot::new(process, system);
    snapshot.captured_at_us = u64::from(streams.time) * 1_000_000;
    let threads = threads::threads(&streams, processor);
    if threads.is_empty() {
        return Err(ConvertError::Damaged { what: "it tells of no thread" });
    }
    snapshot.threads = threads;
    exception::take(&streams, processor, &mut snapshot);
    snapshot.modules = modules::modules(&streams, snapshot.system.os);
    if is_apple {
        snapshot.apple = Some(apple::facts(&streams));
    } else {
        snapshot.linux = Some(linux::facts(&streams));
    }
    snapshot.annotations = annotations(&streams);
    let errors = streams.get(MINIDUMP_STREAM_TYPE::MozSoftErrors.into()).unwrap_or_default();
    snapshot.soft_errors = serde_json::from_slice(&errors).unwrap_or_default();
    snapshot.regions = regions::listed(&streams);
    if is_apple {
        apple::restore(&streams, &mut snapshot);
    }
    let is_full = streams.flags & FULL_MEMORY != 0;
    let (ranges, holes, size) = (streams.memory(), holes(&streams), file.size());
    add_memory(&mut memory, ranges, &holes, size, &mut snapshot);
    complete(&mut snapshot, &memory);
    let chosen = Some(memory.held()).filter(|_| !is_full);
    Ok(Source { snapshot, memory, chosen, format: Format::Minidump })
}

fn annotations(streams: &Streams<'_>) -> Vec<(String, String)> {
    const CRASHPAD_INFO: u32 = 0x4350_0001;
    let info = streams.get(CRASHPAD_INFO).unwrap_or_default();
    // Version, two GUIDs, then size and RVA of the dictionary: a count, then RVAs of keys and values.
    let (Some(size), Some(rva)) = (u32_at(&info, 36), u32_at(&info, 40)) else { return Vec::new() };
    let dictionary = streams.at(rva, size, 8 * 4096 + 4).unwrap_or_default();
    let entries = dictionary.get(4..).unwrap_or_default().chunks_exact(8).take(MAX_ANNOTATIONS);
    let pair = |entry: &[u8]| Some((streams.utf8(u32_at(entry, 0)?)?, streams.utf8(u32_at(entry, 4)?)?));
    entries.filter_map(pair).collect()
}

/// What the dump's maker could not read, if it was this program.
fn holes(streams: &Streams<'_>) -> Held {
    let locator = streams.get(HOLE_TABLE_STREAM).unwrap_or_default();
    let (Some(table), Some(capacity)) = (u64_at(&locator, 8), u32_at(&locator, 16)) else {
        return Held::default();
    };
    let size = u64::from(capacity).min(MAX_HOLES) * 16;
    let entries = streams.far(table.saturating_add(16), size);
    let hole = |entry: &[u8]| Some((u64_at(entry, 0)?, u64_at(entry, 0)?.checked_add(u64_at(entry, 8)?)?));
    Held::new(entries.chunks_exact(16).filter_map(hole).collect())
}

fn add_memory(
    memory: &mut FileMemory,
    ranges: Vec<(u64, u64, u64)>,
    holes: &Held,
    file_size: u64,
    snapshot: &mut Snapshot,
) {
    let lost = ranges.iter().filter(|(_, size, offset)| offset.saturating_add(*size) > file_size).count();
    if lost > 0 {
        let message = format!("the minidump is cut off: {lost} of its memory ranges lie behind its end");
        snapshot.soft_errors.push(SoftError::new(Stage::Memory, message));
    }
    let piece = |(address, size, offset)| Piece { address, size, file: 0, offset };
    memory.add(ranges.into_iter().map(piece).collect());
    memory.remove(holes);
}

/// Adds what follows from map and memory together.
fn complete(snapshot: &mut Snapshot, memory: &FileMemory) {
    linux::complete(snapshot, memory);
    if snapshot.regions.is_empty() {
        snapshot.regions = regions::of_memory(&memory.held());
    }
    let main = snapshot.modules.iter().find(|module| module.is_main);
    let path = main.map(|module| module.path.clone()).filter(|path| path.starts_with(b"/"));
    snapshot.process.executable = snapshot.process.executable.take().or(path);
    // Elsewhere, ids of threads are not of the kind of those of processes.
    if snapshot.process.pid == 0 && snapshot.linux.is_some() {
        let lowest = snapshot.threads.iter().map(|thread| thread.id).min();
        snapshot.process.pid = lowest.unwrap_or(0);
    }
}
