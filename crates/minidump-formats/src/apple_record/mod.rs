//! The record: what is known of a Mach task and no other part of its file has a field for.
//!
//! It is the note of our own in Mach-O cores, and [`APPLE_FACTS_STREAM`](crate::minidump::APPLE_FACTS_STREAM) in minidumps of
//! macOS. What the rest of the file tells is not repeated: of a core that is the `LC_THREAD`s and the notes of LLDB, of a
//! minidump the streams that others know, too. So there are two ways to write it and two to read it, with the same parts.
//!
//! The record begins with [`APPLE_RECORD_VERSION`] in four bytes, the lowest first. Sections follow, each a number that tells
//! what it is, its size in bytes, and its contents. `docs/apple-record.md` has them one by one. A section that a reader does not
//! know is passed over, and so is what stands behind the part of a section that it knows.

mod bytes;
mod images;
mod memory;
mod modules;
mod names;
mod process;
mod regions;
mod restore;
mod tables;
#[cfg(test)]
mod tests;
mod texts;
mod threads;

use crate::minidump::is_exact;
use crate::soft_errors;
use bytes::{Decoder, Encoder};
use images::ImageRecord;
use memory::PlanRecord;
use minidump_snapshot::{
    AppleFacts, CrashInfo, Exception, Handle, MemoryPlan, Process, Snapshot, SoftError, System,
};
use modules::ModuleRecord;
use names::{Names, NamesRead};
use regions::RegionRecord;
use threads::ThreadRecord;

pub use images::ListedImage;
pub use memory::{HoleTable, PlanRecord as PlanFacts};
pub use threads::CommandThread;

/// Version of the record. Raised whenever a section changes its meaning or is removed; 1 was JSON.
pub const APPLE_RECORD_VERSION: u32 = 2;

/// What the sections are.
mod section {
    pub const CAPTURE: u64 = 1;
    pub const PROCESS: u64 = 2;
    pub const SYSTEM: u64 = 3;
    pub const EXCEPTION: u64 = 4;
    pub const FACTS: u64 = 5;
    pub const NAMES: u64 = 6;
    pub const THREADS: u64 = 7;
    pub const MODULES: u64 = 8;
    pub const IMAGES: u64 = 9;
    pub const CRASH_INFO: u64 = 10;
    pub const REGIONS: u64 = 11;
    pub const ANNOTATIONS: u64 = 12;
    pub const HANDLES: u64 = 13;
    pub const SOFT_ERRORS: u64 = 14;
    pub const PLAN: u64 = 15;
    pub const HOLE_TABLE: u64 = 16;
}

/// Reads soft errors, as the caller of [`AppleRecord::decode`] does it: `None` when they are damaged.
///
/// They are JSON. What only writes dumps has nothing below it that reads JSON, but what reads dumps has that anyway.
pub type ReadSoftErrors = fn(json: &[u8]) -> Option<Vec<SoftError>>;

/// A record that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AppleRecord {
    captured_at_us: u64,
    blamed_thread: Option<u32>,
    process: Process,
    system: Option<System>,
    exception: Option<Exception>,
    /// Without images and texts of libraries.
    facts: Option<AppleFacts>,
    names: NamesRead,
    threads: Vec<ThreadRecord>,
    modules: Vec<ModuleRecord>,
    images: Vec<ImageRecord>,
    crash_info: Option<Vec<CrashInfo>>,
    regions: Vec<RegionRecord>,
    annotations: Vec<(String, String)>,
    handles: Vec<Handle>,
    soft_errors: Vec<SoftError>,
    plan: PlanRecord,
    hole_table: Option<HoleTable>,
}

/// What a core tells besides the record.
pub(crate) struct Core<'a> {
    pub plan: &'a MemoryPlan,
    /// Which `LC_THREAD` is which thread's.
    pub places: &'a [Option<usize>],
    /// The modules are in the note "all image infos".
    pub lists_images: bool,
    /// What its encoder left out.
    pub left_out: &'a [SoftError],
}

/// The record of a core but for its end, which [`hole_table`] makes.
pub(crate) fn beside_commands(snapshot: &Snapshot, core: &Core<'_>) -> Vec<u8> {
    let mut to = start(snapshot);
    let mut names = Names::default();
    if let Some(exception) = &snapshot.exception {
        to.section(section::EXCEPTION, process::exception(exception));
    }
    if let Some(facts) = &snapshot.apple {
        let listed = if core.lists_images { snapshot.modules.as_slice() } else { &[] };
        to.section(section::FACTS, process::facts(facts, facts.boot_args.as_deref()));
        to.section(section::IMAGES, images::encode(&facts.images, listed, &mut names));
        to.section(section::CRASH_INFO, texts::crash_info(&facts.crash_info));
    }
    to.section(section::THREADS, threads::beside_commands(&snapshot.threads, core.places));
    to.section(section::MODULES, modules::beside_commands(&snapshot.modules, core.lists_images));
    let regions = regions::encode(snapshot.regions.iter(), &snapshot.modules, &mut names);
    to.section(section::REGIONS, regions);
    to.section(section::NAMES, names.encode());
    to.section(section::ANNOTATIONS, texts::annotations(&snapshot.annotations));
    to.section(section::HANDLES, texts::handles(&snapshot.handles));
    let mut json = Encoder::default();
    json.raw(&soft_errors::json(&snapshot.soft_errors, core.left_out));
    to.section(section::SOFT_ERRORS, json);
    to.section(section::PLAN, memory::plan(core.plan));
    to.finish()
}

/// The end of the record of a core that has a table of holes. It is as long for all offsets.
pub(crate) fn hole_table(table: HoleTable) -> Vec<u8> {
    let mut to = Encoder::default();
    to.section(section::HOLE_TABLE, memory::hole_table(table));
    to.finish()
}

/// The record of a minidump; `None` when there is nothing that only Apple's systems tell.
pub(crate) fn beside_streams(snapshot: &Snapshot) -> Option<Vec<u8>> {
    let threads = threads::beside_streams(&snapshot.threads);
    if snapshot.apple.is_none() && snapshot.threads.iter().all(|thread| thread.apple.is_none()) {
        return None;
    }
    let mut to = start(snapshot);
    let mut names = Names::default();
    if let Some(facts) = &snapshot.apple {
        to.section(section::FACTS, process::facts(facts, None));
        to.section(section::IMAGES, images::encode(&facts.images, &[], &mut names));
        if !is_exact(&facts.crash_info) {
            to.section(section::CRASH_INFO, texts::crash_info(&facts.crash_info));
        }
    }
    if let Some(threads) = threads {
        to.section(section::THREADS, threads);
    }
    to.section(section::MODULES, modules::beside_streams(&snapshot.modules));
    let untold = regions::untold(&snapshot.regions);
    to.section(section::REGIONS, regions::encode(untold.into_iter(), &[], &mut names));
    to.section(section::NAMES, names.encode());
    Some(to.finish())
}

/// What is the same in both.
fn start(snapshot: &Snapshot) -> Encoder {
    let mut to = Encoder::default();
    to.raw(&APPLE_RECORD_VERSION.to_le_bytes());
    let mut capture = Encoder::default();
    capture.number(snapshot.captured_at_us);
    capture.optional(snapshot.blamed_thread.map(Into::into));
    to.section(section::CAPTURE, capture);
    to.section(section::PROCESS, process::process(&snapshot.process));
    to.section(section::SYSTEM, process::system(&snapshot.system));
    to
}

impl AppleRecord {
    /// Reads a record, as foreign input: what is in it is bounded, and takes memory only for what is there. `None` when it is
    /// damaged, or of another version.
    #[must_use]
    pub fn decode(bytes: &[u8], read_soft_errors: ReadSoftErrors) -> Option<Self> {
        let mut from = Decoder::new(bytes);
        if u32::from_le_bytes(from.array()?) != APPLE_RECORD_VERSION {
            return None;
        }
        let mut record = Self::default();
        while !from.is_empty() {
            let tag = from.number()?;
            let contents = from.bytes()?;
            if tag == section::SOFT_ERRORS {
                record.soft_errors = read_soft_errors(contents)?;
            } else {
                record.take(tag, &mut Decoder::new(contents))?;
            }
        }
        Some(record)
    }

    /// Reads a section. One that is there twice replaces the first.
    fn take(&mut self, tag: u64, from: &mut Decoder<'_>) -> Option<()> {
        match tag {
            section::CAPTURE => {
                (self.captured_at_us, self.blamed_thread) = (from.number()?, from.optional_small()?);
            }
            section::PROCESS => self.process = process::read_process(from)?,
            section::SYSTEM => self.system = Some(process::read_system(from)?),
            section::EXCEPTION => self.exception = Some(process::read_exception(from)?),
            section::FACTS => self.facts = Some(process::read_facts(from)?),
            section::NAMES => self.names = NamesRead::read(from)?,
            section::THREADS => self.threads = threads::read(from)?,
            section::MODULES => self.modules = modules::read(from)?,
            section::IMAGES => self.images = images::read(from)?,
            section::CRASH_INFO => self.crash_info = Some(texts::read_crash_info(from)?),
            section::REGIONS => self.regions = regions::read(from)?,
            section::ANNOTATIONS => self.annotations = texts::read_annotations(from)?,
            section::HANDLES => self.handles = texts::read_handles(from)?,
            section::PLAN => self.plan = memory::read_plan(from)?,
            section::HOLE_TABLE => self.hole_table = Some(memory::read_hole_table(from)?),
            _ => {}
        }
        Some(())
    }

    /// Whether it tells what a core cannot do without.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.system.is_some()
    }

    /// What the plan of a core's memory says that its segments do not.
    #[must_use]
    pub fn plan(&self) -> &PlanFacts {
        &self.plan
    }

    /// Where a core's table of holes lies; `None` when all of its memory is known to be whole.
    #[must_use]
    pub fn hole_table(&self) -> Option<HoleTable> {
        self.hole_table
    }
}
