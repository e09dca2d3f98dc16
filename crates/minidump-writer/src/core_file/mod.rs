//! An ELF core as a source: of our own encoder, of Linux, of gdb.
//!
//! Threads and registers come from the notes, the memory map from segments and `NT_FILE`, modules from ELF headers in the
//! core's memory, the crash from `NT_SIGINFO`. What only our own encoder tells is taken where it is there. A core that is
//! cut off yields what is in it.

mod beside;
mod elf;
mod facts;
mod gathered;
mod head;
mod map_text;
mod mapped_files;
mod notes;
mod on_disk;
mod siginfo;
mod snapshot;
mod status;
mod xsave;

use crate::convert::{ConvertError, FileMemory, Held, InputFile, Piece, Source};
use crate::snapshot::{SoftError, Stage};
use crate::{DumpOptions, Format};
pub(crate) use beside::ProcessBeside;
use elf::Segment;
use gathered::Gathered;
pub use head::copy_head;

/// Reads a core, with what /proc tells where its process is still there.
///
/// # Errors
/// When it is no core of an x86-64 program, or so short that there is nothing in it.
pub(crate) fn read(
    file: InputFile,
    process: Option<Box<dyn ProcessBeside>>,
    options: &DumpOptions,
) -> Result<Source, ConvertError> {
    let (segments, missing) = elf::segments(&file)?;
    let mut gathered = Gathered::read(&file, &segments);
    if missing > 0 {
        gathered.complain(&format!("{missing} program headers of the core are missing or were not read"));
    }
    if gathered.threads.is_empty() {
        return Err(ConvertError::Damaged { what: "it tells of no thread" });
    }
    let in_process = process.as_ref().and_then(|process| process.memory());
    let mut memory = memory(file, &segments, &mut gathered, in_process.is_none());
    if let Some(file) = in_process {
        let files = gathered.files.as_deref().map(mapped_files::parse).unwrap_or_default();
        beside::add(file, &segments, &files, &mut memory);
    }
    let built = snapshot::build(gathered, &segments, &mut memory, process, options);
    Ok(Source { snapshot: built.snapshot, memory, chosen: built.chosen, format: Format::ElfCore })
}

/// The memory in the segments. `is_all` says that there is no other place to have it from.
fn memory(file: InputFile, segments: &[Segment], gathered: &mut Gathered, is_all: bool) -> FileMemory {
    let size = file.size();
    let mut memory = FileMemory::new(file);
    let loads = segments.iter().filter(|segment| segment.kind == elf::LOAD);
    let piece = |load: &Segment| Piece {
        address: load.address,
        size: load.file_size.min(load.memory_size),
        file: 0,
        offset: load.offset,
    };
    let pieces: Vec<Piece> = loads.map(piece).filter(|piece| piece.size > 0).collect();
    let behind_end = |piece: &&Piece| piece.offset.saturating_add(piece.size) > size;
    let lost = pieces.iter().filter(behind_end).count();
    if lost > 0 && is_all {
        let message = format!("the core is cut off: {lost} of its memory ranges lie behind its end");
        gathered.soft_errors.push(SoftError::new(Stage::Memory, message));
    }
    memory.add(pieces);
    memory.remove(&Held::new(std::mem::take(&mut gathered.holes)));
    memory
}
