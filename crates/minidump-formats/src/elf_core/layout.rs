use super::elf::{self, Segment};
use super::note::Notes;
use super::own_notes::{locator, locator_size, own_notes};
use super::process_notes::process_notes;
use super::segments::segments;
use super::thread_notes::{Common, extended_layout};
use super::{FormatError, amd64};
use crate::minidump::{MemoryBlock, hole_capacity, page_size};
use minidump_snapshot::{Cpu, MemoryPlan, PlannedRange, Snapshot, SoftError, Thread};

/// Alignment of the hole table in the file.
pub(crate) const HOLE_TABLE_ALIGNMENT: u64 = 8;
/// Size in bytes of an entry of the table, and of its header.
const HOLE_ENTRY_SIZE: u64 = 16;

/// What a caller may decide about the file.
#[derive(Debug, Clone)]
pub struct CoreOptions {
    /// The source is known to hold every byte of the plan, as an arena does that was filled before. The file then has
    /// no table of holes. Default false.
    pub source_is_complete: bool,
    /// Most holes that are listed, in the file and in [`Written::holes`](super::Written::holes). Each takes 16 bytes
    /// of the file whether it is used or not. Default 512.
    pub hole_capacity: u32,
}

impl Default for CoreOptions {
    fn default() -> Self {
        Self { source_is_complete: false, hole_capacity: 512 }
    }
}

/// A core that is laid out to the last byte, and lacks only the target's memory.
///
/// The notes of the threads, its largest part but for the memory, are made one by one while it is written.
#[derive(Debug)]
pub struct CoreLayout<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// ELF header, program headers, section header.
    pub(super) headers: Vec<u8>,
    /// Notes of the process, between the first thread's status and its other registers.
    pub(super) process_notes: Vec<u8>,
    /// The layout of extended areas, our own notes, and zeros up to the memory.
    pub(super) last_notes: Vec<u8>,
    pub(super) ranges: &'a [PlannedRange],
    pub(super) page_size: u64,
    pub(super) hole_capacity: u32,
    pub(super) places: Places,
    soft_errors: Vec<SoftError>,
}

/// Offsets in the file, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub notes: u64,
    pub notes_end: u64,
    pub memory: u64,
    pub hole_table: Option<u64>,
    pub total: u64,
}

impl CoreLayout<'_> {
    /// Exact size of the file in bytes.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.places.total
    }

    /// Offset in the file of the first byte of memory: a multiple of the page size.
    #[must_use]
    pub fn memory_offset(&self) -> u64 {
        self.places.memory
    }

    /// Notes that the file goes without, and why. The file says so, too.
    #[must_use]
    pub fn soft_errors(&self) -> &[SoftError] {
        &self.soft_errors
    }

    /// Calls `take` with the notes of one thread after the other, the first with those of the process in them; without
    /// threads, with those of the process alone.
    pub(super) fn each_threads_notes(
        &self,
        mut take: impl FnMut(&[u8]) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        if self.snapshot.threads.is_empty() {
            return take(&self.process_notes);
        }
        let common = Common::new(self.snapshot);
        let mut notes = Notes::default();
        let mut between = self.process_notes.as_slice();
        for thread in threads(self.snapshot) {
            notes.clear();
            common.append(thread, std::mem::take(&mut between), &mut notes);
            take(notes.bytes())?;
        }
        Ok(())
    }
}

/// Lays out the core of `snapshot` with the memory of `plan`. Pure: it reads no memory and writes no file.
///
/// Memory use is the size of program headers, file names and texts: it does not grow with the target's memory.
///
/// # Errors
/// The plan is no plan of one address space, or the file would exceed 64-bit offsets, or have 2^32 segments.
pub fn layout<'a>(
    snapshot: &'a Snapshot,
    plan: &'a MemoryPlan,
    options: &CoreOptions,
) -> Result<CoreLayout<'a>, FormatError> {
    let block = MemoryBlock::new(plan)?;
    let page_size = page_size(snapshot);
    let hole_capacity = hole_capacity(options.hole_capacity, &block, page_size);
    let holes = (!options.source_is_complete).then_some(hole_capacity);
    let mut soft_errors = Vec::new();
    let first = threads(snapshot).next();
    let process_notes = process_notes(snapshot, first, page_size, &mut soft_errors);
    let mut last_notes = extended_layout(snapshot);
    last_notes.extend(own_notes(snapshot, plan, &soft_errors));

    // How many segments there are does not depend on where the memory lies.
    let count = segments(&snapshot.regions, block.ranges(), 0).len() as u64 + 1;
    let common = Common::new(snapshot);
    let thread_notes: u64 = snapshot.threads.iter().map(|thread| common.size(thread)).sum();
    let other_notes = process_notes.len() + last_notes.len() + locator_size(holes.is_some());
    let notes_size = thread_notes + other_notes as u64;
    let places = place(headers_size(count), notes_size, page_size, &block, holes)
        .ok_or(FormatError::OutOfReach { offset: headers_size(count), size: block.size() })?;
    if let (Some(table), Some(capacity)) = (places.hole_table, holes) {
        last_notes.extend(locator(table, capacity)?);
    }
    let padding = usize::try_from(places.memory - places.notes_end).unwrap_or(0);
    last_notes.resize(last_notes.len() + padding, 0);
    let segments = segments(&snapshot.regions, block.ranges(), places.memory);
    let headers = headers(snapshot, &segments, &places, page_size)?;
    let ranges = block.ranges();
    Ok(CoreLayout {
        snapshot,
        headers,
        process_notes,
        last_notes,
        ranges,
        page_size,
        hole_capacity,
        places,
        soft_errors,
    })
}

/// The threads in the order of the file: the one that crashed, or else the blamed one, comes first.
fn threads(snapshot: &Snapshot) -> impl Iterator<Item = &Thread> {
    let crashed = snapshot.exception.as_ref().map(|exception| exception.thread);
    let wanted = crashed.or(snapshot.blamed_thread);
    let first = snapshot.threads.iter().position(|thread| Some(thread.id) == wanted);
    let others = snapshot.threads.iter().enumerate().filter(move |(index, _)| Some(*index) != first);
    let first = first.and_then(|index| snapshot.threads.get(index));
    first.into_iter().chain(others.map(|(_, thread)| thread))
}

fn headers_size(segments: u64) -> u64 {
    let extension = if elf::needs_section_header(segments) { elf::SECTION_HEADER_SIZE } else { 0 };
    elf::section_header_offset(segments).saturating_add(extension)
}

fn place(
    notes: u64,
    notes_size: u64,
    page_size: u64,
    block: &MemoryBlock<'_>,
    hole_capacity: Option<u32>,
) -> Option<Places> {
    let notes_end = notes.checked_add(notes_size)?;
    let memory = notes_end.checked_next_multiple_of(page_size)?;
    let end = memory.checked_add(block.size())?;
    let Some(capacity) = hole_capacity else {
        return Some(Places { notes, notes_end, memory, hole_table: None, total: end });
    };
    let table = end.checked_next_multiple_of(HOLE_TABLE_ALIGNMENT)?;
    let entries = u64::from(capacity).checked_mul(HOLE_ENTRY_SIZE)?;
    let total = table.checked_add(entries)?.checked_add(HOLE_ENTRY_SIZE)?;
    Some(Places { notes, notes_end, memory, hole_table: Some(table), total })
}

fn headers(
    snapshot: &Snapshot,
    segments: &[Segment],
    places: &Places,
    page_size: u64,
) -> Result<Vec<u8>, FormatError> {
    let machine = match snapshot.system.cpu {
        Cpu::Amd64 { .. } => amd64::MACHINE,
        // EM_NONE
        _ => 0,
    };
    let count = segments.len() as u64 + 1;
    let mut headers = Vec::with_capacity(usize::try_from(headers_size(count)).unwrap_or(0));
    headers.extend(elf::header(machine, count));
    headers.extend(elf::notes(places.notes, places.notes_end - places.notes));
    for segment in segments {
        headers.extend(elf::load(segment, page_size));
    }
    if elf::needs_section_header(count) {
        headers.extend(elf::section_header(u32::try_from(count).map_err(|_| FormatError::Count { count })?));
    }
    Ok(headers)
}
