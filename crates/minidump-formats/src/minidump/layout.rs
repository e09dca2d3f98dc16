use super::context::{Arm64Context, ContextKind};
use super::header_flags::header_flags;
use super::holes::write_locator;
use super::memory_block::MemoryBlock;
use super::memory_writer::{Gap, size_of_encoded};
use super::own_sections::own_sections;
use super::streams::{MemoryListSection, SoftErrorsSection, XsaveAreas, linux_texts};
use super::tail::{MEMORY_ALIGNMENT, Tail, place};
use super::{
    DirSection, FormatError, HOLE_TABLE_STREAM, MDRawDirectory, MemoryWriter, SectionWriter,
    XSAVE_LIST_STREAM, time,
};
use minidump_common::format::{MINIDUMP_HEADER, MINIDUMP_STREAM_TYPE};
use minidump_snapshot::{MemoryPlan, PlannedRange, Snapshot, SoftError, Stage};

/// Streams that are entered besides the sections: soft errors, XSAVE areas, hole locator, memory list.
const OWN_SLOTS: usize = 4;

/// `MiniDumpWithFullMemory` of `MINIDUMP_TYPE`.
const WITH_FULL_MEMORY: u64 = 0x2;

/// What a caller may decide about the file.
#[derive(Clone)]
pub struct LayoutOptions<'a> {
    /// Streams of the application, behind the small streams.
    pub extra_sections: &'a [&'a dyn SectionWriter],
    /// The source is known to hold every byte of the plan, as an arena does that was filled before. The file then has
    /// no table of holes. Default false.
    pub source_is_complete: bool,
    /// Most holes that are listed, in the file and in [`Written::holes`](super::Written::holes). Each takes 16 bytes
    /// of the file whether it is used or not. Default 512.
    pub hole_capacity: u32,
    /// Types of streams that the file goes without. It says nothing about them: whoever asks for this knows. Without
    /// the `MemoryList` (or `Memory64List`) it has no memory either. Streams of the application are written all the
    /// same; so one of them can take the place of one of ours. Default none.
    pub omit: &'a [u32],
    /// Flags of the header (`MINIDUMP_TYPE`, minidumpapiset.h) that the streams do not tell: that the memory is all
    /// there was, or that what is private was taken out of it. With `MiniDumpWithFullMemory`, the memory is always in a
    /// `Memory64List`, as Windows writes it. Default none.
    pub flags: u64,
    /// The pair of processor architecture and context of an AArch64 process. Default [`Arm64Context::Breakpad`]. A
    /// process of Windows always has [`Arm64Context::Microsoft`]: nothing else is a dump to its debuggers.
    pub arm64_context: Arm64Context,
}

impl Default for LayoutOptions<'_> {
    fn default() -> Self {
        Self {
            extra_sections: &[],
            source_is_complete: false,
            hole_capacity: 512,
            omit: &[],
            flags: 0,
            arm64_context: Arm64Context::default(),
        }
    }
}

/// A file that is laid out to the last byte, and lacks only the target's memory.
#[derive(Debug)]
pub struct Layout<'a> {
    /// The file up to the first XSAVE area, but for the gaps.
    pub(crate) head: Vec<u8>,
    /// In the order of the file.
    pub(crate) gaps: Vec<Gap>,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) areas: XsaveAreas<'a>,
    pub(crate) ranges: &'a [PlannedRange],
    pub(crate) page_size: u64,
    pub(crate) hole_capacity: u32,
    pub(crate) tail: Tail,
    soft_errors: Vec<SoftError>,
}

impl Layout<'_> {
    /// Exact size of the file in bytes.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.tail.total
    }

    /// Offset in the file of the first byte of memory.
    #[must_use]
    pub fn memory_offset(&self) -> u64 {
        self.tail.memory
    }

    /// The memory is listed in a `Memory64List`, because 32-bit offsets do not reach the end of the file.
    #[must_use]
    pub fn uses_memory64(&self) -> bool {
        self.tail.wide
    }

    /// Streams that the file goes without, and why. The file says so, too.
    #[must_use]
    pub fn soft_errors(&self) -> &[SoftError] {
        &self.soft_errors
    }
}

/// Lays out the dump of `snapshot` with the memory of `plan`. Pure: it reads no memory and writes no file.
///
/// Memory use is the size of everything but the target's memory and what the snapshot has in large amounts: registers,
/// regions and texts go from there to the file.
///
/// # Errors
/// Two sections have the same type, the plan is no plan of one address space, or the list of memory or the directory
/// lie out of reach of 32-bit offsets. Any other stream that cannot be written is left out with a soft error.
pub fn layout<'a>(
    snapshot: &'a Snapshot,
    plan: &'a MemoryPlan,
    options: &LayoutOptions<'_>,
) -> Result<Layout<'a>, FormatError> {
    let omit = Omit(options.omit);
    let block = if omit.memory() { MemoryBlock::unlisted() } else { MemoryBlock::new(plan)? };
    let own = own_sections(snapshot, plan, ContextKind::new(&snapshot.system, options.arm64_context));
    let texts: Vec<_> = snapshot.linux.iter().flat_map(linux_texts).collect();
    let kept = |section: &&dyn SectionWriter| !omit.has(section.section_type());
    let mut ordered: Vec<&dyn SectionWriter> = own.iter().map(Box::as_ref).filter(kept).collect();
    ordered.extend(options.extra_sections);
    ordered.extend(texts.iter().map(|text| text as &dyn SectionWriter).filter(kept));
    refuse_duplicates(&ordered)?;

    let page_size = page_size(snapshot);
    let hole_capacity = hole_capacity(options.hole_capacity, &block, page_size);
    let areas = if omit.has(XSAVE_LIST_STREAM) { XsaveAreas::none() } else { XsaveAreas::new(snapshot) };
    let mut file = FileHead::new(&ordered, areas.list_size().saturating_add(block.list_size()))?;
    for section in &ordered {
        file.write_or_leave_out(*section)?;
    }
    let can_have_holes = !options.source_is_complete && block.is_listed() && !omit.has(HOLE_TABLE_STREAM);
    let with_holes = can_have_holes.then_some(hole_capacity);
    let (mut buffer, soft_errors, tail) = file.finish(snapshot, &areas, &block, with_holes, options)?;
    buffer.resolve_memory(|address, size| block.locate(address, size)?.checked_add(tail.memory))?;
    let (head, gaps) = buffer.into_parts();
    let ranges = block.ranges();
    Ok(Layout { head, gaps, snapshot, areas, ranges, page_size, hole_capacity, tail, soft_errors })
}

/// The stream types that the file goes without.
#[derive(Clone, Copy)]
struct Omit<'a>(&'a [u32]);

impl Omit<'_> {
    fn has(self, stream_type: u32) -> bool {
        self.0.contains(&stream_type)
    }

    /// Either list stands for both: which of them a file has depends on its size.
    fn memory(self) -> bool {
        self.has(MINIDUMP_STREAM_TYPE::MemoryListStream.into())
            || self.has(MINIDUMP_STREAM_TYPE::Memory64ListStream.into())
    }
}

/// LLVM's reader refuses a file in which two streams have the same type.
fn refuse_duplicates(sections: &[&dyn SectionWriter]) -> Result<(), FormatError> {
    let mut types = vec![
        u32::from(MINIDUMP_STREAM_TYPE::MemoryListStream),
        u32::from(MINIDUMP_STREAM_TYPE::Memory64ListStream),
        u32::from(MINIDUMP_STREAM_TYPE::MozSoftErrors),
        HOLE_TABLE_STREAM,
        XSAVE_LIST_STREAM,
    ];
    for section in sections {
        let stream_type = section.section_type();
        if types.contains(&stream_type) {
            return Err(FormatError::DuplicateStream { stream_type });
        }
        types.push(stream_type);
    }
    Ok(())
}

pub(crate) fn page_size(snapshot: &Snapshot) -> u64 {
    const SMALLEST: u64 = 4096;
    Some(u64::from(snapshot.system.page_size))
        .filter(|size| *size >= SMALLEST && size.is_power_of_two())
        .unwrap_or(SMALLEST)
}

/// No more entries than there can be holes: every second page that a range touches, also in part.
pub(crate) fn hole_capacity(wanted: u32, block: &MemoryBlock<'_>, page_size: u64) -> u32 {
    let possible = block.ranges().iter().map(|range| (range.size / page_size).saturating_add(3) / 2);
    let possible = possible.fold(0_u64, u64::saturating_add);
    wanted.min(u32::try_from(possible).unwrap_or(u32::MAX))
}

/// The file up to the memory, while it grows.
struct FileHead {
    buffer: MemoryWriter,
    directory: DirSection,
    soft_errors: Vec<SoftError>,
}

impl FileHead {
    /// For these sections, and lists of `lists` bytes behind them.
    fn new(sections: &[&dyn SectionWriter], lists: usize) -> Result<Self, FormatError> {
        let slots = sections.len().saturating_add(OWN_SLOTS);
        let hints = sections.iter().map(|section| section.size_hint()).fold(0_usize, usize::saturating_add);
        let fixed = size_of_encoded::<MINIDUMP_HEADER>() + 4096;
        let lists = slots.saturating_mul(16).saturating_add(lists);
        // A hint is only a hint: an absurd one from outside must not exhaust the memory.
        let capacity = hints.saturating_add(lists).min(64 << 20).saturating_add(fixed);
        let mut buffer = MemoryWriter::with_capacity(capacity);
        let directory = DirSection::new(&mut buffer, slots)?;
        Ok(Self { buffer, directory, soft_errors: Vec::new() })
    }

    fn enter(&mut self, entry: MDRawDirectory) -> Result<(), FormatError> {
        self.directory.push(&mut self.buffer, entry)
    }

    fn write_or_leave_out(&mut self, section: &dyn SectionWriter) -> Result<(), FormatError> {
        let start = self.buffer.mark();
        match section.write_section(&mut self.buffer) {
            Ok(entry) => self.enter(MDRawDirectory { stream_type: section.section_type(), ..entry }),
            Err(error) => {
                self.buffer.rewind(start);
                let message = format!("stream {:#x} was left out: {error}", section.section_type());
                self.soft_errors.push(SoftError::new(Stage::Format, message));
                Ok(())
            }
        }
    }

    /// Writes what comes last and must know the end of the file.
    fn finish(
        mut self,
        snapshot: &Snapshot,
        areas: &XsaveAreas<'_>,
        block: &MemoryBlock<'_>,
        hole_capacity: Option<u32>,
        options: &LayoutOptions<'_>,
    ) -> Result<(MemoryWriter, Vec<SoftError>, Tail), FormatError> {
        let omit = Omit(options.omit);
        let errors = SoftErrorsSection { captured: &snapshot.soft_errors, encoded: &self.soft_errors };
        if !omit.has(errors.section_type()) {
            let entry = errors.write_section(&mut self.buffer)?;
            self.enter(entry)?;
        }
        let list = areas.reserve(&mut self.buffer)?;
        self.buffer.align(8);
        let wide = options.flags & WITH_FULL_MEMORY != 0;
        let tail = place(wide, self.buffer.position(), areas.size(), block, hole_capacity)?;
        if let Some(list) = list {
            let entry = areas.fill(&list, tail.areas, &mut self.buffer)?;
            self.enter(entry)?;
        }
        if let (Some(table), Some(capacity)) = (tail.hole_table, hole_capacity) {
            let entry = write_locator(&mut self.buffer, table, capacity)?;
            self.enter(entry)?;
        }
        if block.is_listed() {
            let entry = MemoryListSection { block, tail }.write_section(&mut self.buffer)?;
            self.enter(entry)?;
        }
        self.buffer.align(MEMORY_ALIGNMENT);
        let time = time::seconds(snapshot.captured_at_us);
        self.directory.finish(
            &mut self.buffer,
            time,
            header_flags(snapshot, block, |stream| omit.has(stream)) | options.flags,
        )?;
        Ok((self.buffer, self.soft_errors, tail))
    }
}
