use super::FormatError;
use super::architecture::{Architecture, Registers};
use super::mach_o::{self, HEADER_SIZE, SEGMENT_COMMAND_SIZE};
use super::notes::{self, Notes};
use super::own_note::{OWN_NOTE, OwnNote};
use super::segments::{Segment, segments};
use super::thread_commands::{ThreadOrder, command};
use super::{image_infos, main_binary};
use crate::apple_record::{Core, beside_commands};
use crate::minidump::{MemoryBlock, hole_capacity, page_size};
use minidump_snapshot::{MemoryPlan, PlannedRange, Snapshot, SoftError, Stage};

/// Alignment of the first byte of memory in the file. Nothing needs it; all writers of such cores do it.
pub(super) const MEMORY_ALIGNMENT: u64 = 4096;
/// Alignment of the hole table in the file.
pub(super) const HOLE_TABLE_ALIGNMENT: u64 = 8;
/// Size in bytes of an entry of the table, and of its header.
const HOLE_ENTRY_SIZE: u64 = 16;

/// What a caller may decide about the file.
#[derive(Debug, Clone)]
pub struct MachoCoreOptions {
    /// The source is known to hold every byte of the plan, as an arena does that was filled before. The file then has
    /// no table of holes. Default false.
    pub source_is_complete: bool,
    /// Most holes that are listed, in the file and in [`Written::holes`](super::Written::holes). Each takes 16 bytes
    /// of the file whether it is used or not. Default 512.
    pub hole_capacity: u32,
}

impl Default for MachoCoreOptions {
    fn default() -> Self {
        Self { source_is_complete: false, hole_capacity: 512 }
    }
}

/// A core that is laid out to the last byte, and lacks only the target's memory.
///
/// The commands of threads and segments are made one by one while it is written.
pub struct MachoCoreLayout<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) registers: Option<Registers>,
    pub(super) threads: ThreadOrder,
    /// Mach-O header, and the commands of the notes.
    pub(super) head: Vec<u8>,
    pub(super) segments: Vec<Segment>,
    /// Contents of the notes.
    pub(super) notes: Vec<u8>,
    pub(super) ranges: &'a [PlannedRange],
    pub(super) page_size: u64,
    pub(super) hole_capacity: u32,
    pub(super) places: Places,
    soft_errors: Vec<SoftError>,
}

impl std::fmt::Debug for MachoCoreLayout<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachoCoreLayout").field("places", &self.places).finish_non_exhaustive()
    }
}

/// Offsets in the file, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub memory: u64,
    pub hole_table: Option<u64>,
    pub total: u64,
}

impl MachoCoreLayout<'_> {
    /// Exact size of the file in bytes.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.places.total
    }

    /// Offset in the file of the first byte of memory: a multiple of 4,096.
    #[must_use]
    pub fn memory_offset(&self) -> u64 {
        self.places.memory
    }

    /// What the file goes without, and why. The file says so, too.
    #[must_use]
    pub fn soft_errors(&self) -> &[SoftError] {
        &self.soft_errors
    }
}

/// Lays out the core of `snapshot` with the memory of `plan`. Pure: it reads no memory and writes no file.
///
/// # Errors
/// A range of the plan runs over the end of the address space, the file over 2^64 bytes, or the load commands over 4 GiB,
/// as those of 59 million ranges do.
pub fn layout<'a>(
    snapshot: &'a Snapshot,
    plan: &'a MemoryPlan,
    options: &MachoCoreOptions,
) -> Result<MachoCoreLayout<'a>, FormatError> {
    let block = MemoryBlock::new(plan)?;
    let page_size = page_size(snapshot);
    let hole_capacity = hole_capacity(options.hole_capacity, &block, page_size);
    let holes = (!options.source_is_complete).then_some(hole_capacity);
    let architecture = Architecture::of(snapshot);
    let mut soft_errors = Vec::new();
    let threads = ThreadOrder::new(snapshot, architecture.registers, &mut soft_errors);
    let segments = segments(&snapshot.regions, block.ranges());

    let mut known = known_notes(snapshot, &threads);
    if known.images && !image_infos::can_be_counted(snapshot) {
        known.images = false;
        let message = "the list of images was left out: there are too many for a core";
        soft_errors.push(SoftError::new(Stage::Format, message));
    }
    let commands = Commands::new(snapshot, &threads, &architecture, known.count(), &segments)?;
    let mut notes = Notes::new(commands.end().next_multiple_of(notes::ALIGNMENT));
    known.push(snapshot, &mut notes);

    let places_of_threads = threads.places(snapshot.threads.len());
    let besides =
        Core { plan, places: &places_of_threads, lists_images: known.images, left_out: &soft_errors };
    let own = OwnNote(beside_commands(snapshot, &besides));
    let notes_end = notes.next_offset().saturating_add(own.size(holes));
    let places = place(notes_end, &block, holes)
        .ok_or(FormatError::OutOfReach { offset: notes_end, size: block.size() })?;
    notes.push(OWN_NOTE, &own.finish(places.hole_table.unwrap_or(0), holes));
    let (note_commands, notes) = notes.finish();
    let mut head = commands.header(&architecture);
    head.extend(note_commands);
    Ok(MachoCoreLayout {
        snapshot,
        registers: architecture.registers,
        threads,
        head,
        segments,
        notes,
        ranges: block.ranges(),
        page_size,
        hole_capacity,
        places,
        soft_errors,
    })
}

/// The notes for which there is something to tell, in the order of the file, but for our own.
struct KnownNotes {
    address_bits: Option<Vec<u8>>,
    process: Vec<u8>,
    images: bool,
    main_binary: Option<Vec<u8>>,
}

fn known_notes(snapshot: &Snapshot, threads: &ThreadOrder) -> KnownNotes {
    KnownNotes {
        address_bits: notes::address_bits(snapshot),
        process: notes::process(threads.threads(snapshot)),
        images: !snapshot.modules.is_empty(),
        main_binary: main_binary::contents(snapshot),
    }
}

impl KnownNotes {
    /// Number of notes, our own included.
    fn count(&self) -> u64 {
        let optional = [self.address_bits.is_some(), self.images, self.main_binary.is_some()];
        2 + optional.iter().map(|is_there| u64::from(*is_there)).sum::<u64>()
    }

    fn push(&self, snapshot: &Snapshot, notes: &mut Notes) {
        if let Some(contents) = &self.address_bits {
            notes.push(notes::ADDRESS_BITS, contents);
        }
        notes.push(notes::PROCESS, &self.process);
        if self.images {
            let contents = image_infos::contents(snapshot, notes.next_offset());
            notes.push(notes::IMAGES, &contents.unwrap_or_default());
        }
        if let Some(contents) = &self.main_binary {
            notes.push(notes::MAIN_BINARY, contents);
        }
    }
}

/// Number and size in bytes of all load commands.
struct Commands {
    count: u32,
    size: u32,
}

impl Commands {
    fn new(
        snapshot: &Snapshot,
        threads: &ThreadOrder,
        architecture: &Architecture,
        notes: u64,
        segments: &[Segment],
    ) -> Result<Self, FormatError> {
        let segments = segments.len() as u64;
        let count = notes.saturating_add(threads.count()).saturating_add(segments);
        let of_thread =
            |thread| command(thread, architecture.registers).map_or(0, |bytes| bytes.len() as u64);
        let of_threads: u64 = threads.threads(snapshot).map(of_thread).fold(0, u64::saturating_add);
        let of_segments = segments.saturating_mul(SEGMENT_COMMAND_SIZE.into());
        let size = notes::commands_size(notes).saturating_add(of_threads).saturating_add(of_segments);
        let out_of_reach = |_| FormatError::OutOfReach { offset: HEADER_SIZE, size };
        Ok(Self {
            count: u32::try_from(count).map_err(|_| FormatError::Count { count })?,
            size: u32::try_from(size).map_err(out_of_reach)?,
        })
    }

    /// Offset in the file of the first byte behind them.
    fn end(&self) -> u64 {
        HEADER_SIZE + u64::from(self.size)
    }

    fn header(&self, architecture: &Architecture) -> Vec<u8> {
        mach_o::header(architecture.cpu_type, architecture.cpu_subtype, self.count, self.size)
    }
}

fn place(notes_end: u64, block: &MemoryBlock<'_>, holes: Option<u32>) -> Option<Places> {
    let memory = notes_end.checked_next_multiple_of(MEMORY_ALIGNMENT)?;
    let end = memory.checked_add(block.size())?;
    let Some(capacity) = holes else {
        return Some(Places { memory, hole_table: None, total: end });
    };
    let table = end.checked_next_multiple_of(HOLE_TABLE_ALIGNMENT)?;
    let entries = u64::from(capacity).checked_mul(HOLE_ENTRY_SIZE)?;
    let total = table.checked_add(entries)?.checked_add(HOLE_ENTRY_SIZE)?;
    Some(Places { memory, hole_table: Some(table), total })
}
