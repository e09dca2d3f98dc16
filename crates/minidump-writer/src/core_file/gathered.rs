//! Collects what the notes of a core tell.

use super::elf::{self, Segment};
use super::notes::{Note, Notes};
use super::status::{self, Status};
use super::xsave;
use crate::convert::InputFile;
use crate::convert::words::{u32_at, u64_at};
use crate::snapshot::cpu::Amd64State;
use crate::snapshot::{CpuState, SoftError, Stage, XsaveComponent};
use minidump_formats::elf_core::{FACTS_NOTE, HOLE_TABLE_NOTE, OWNER, SOFT_ERRORS_NOTE};
use std::collections::BTreeMap;

/// Most threads that are kept.
const MAX_THREADS: usize = 1 << 16;
/// Longest note that is read: lists of files and texts of processes with very many mappings stay below.
const MAX_NOTE: u64 = 64 << 20;
/// Longest note about a thread. AMX makes areas of 11 KiB.
const MAX_THREAD_NOTE: u64 = 64 << 10;
/// Longest table of holes that is read, in bytes.
const MAX_HOLES: u64 = 16 << 20;
/// Size in bytes of the FXSAVE image.
const FXSAVE_SIZE: usize = 512;

/// `NT_*` of <elf.h>.
const PRSTATUS: u32 = 1;
const FPREGSET: u32 = 2;
const PRPSINFO: u32 = 3;
const AUXV: u32 = 6;
const SIGINFO: u32 = 0x5349_4749;
const FILE: u32 = 0x4649_4c45;
const X86_XSTATE: u32 = 0x202;
const X86_XSAVE_LAYOUT: u32 = 0x205;

/// A thread, and the description of its signal.
#[derive(Debug)]
pub struct GatheredThread {
    pub status: Status,
    pub siginfo: Option<Vec<u8>>,
}

/// Contents of the notes, the first of each kind.
#[derive(Debug, Default)]
pub struct Gathered {
    pub threads: Vec<GatheredThread>,
    pub prpsinfo: Option<Vec<u8>>,
    pub auxv: Option<Vec<u8>>,
    pub files: Option<Vec<u8>>,
    pub components: Vec<XsaveComponent>,
    /// Our own notes, by type.
    pub own: BTreeMap<u32, Vec<u8>>,
    /// Ranges (first address, first address behind) that our own encoder could not read.
    pub holes: Vec<(u64, u64)>,
    pub soft_errors: Vec<SoftError>,
}

impl Gathered {
    /// Reads all notes.
    pub fn read(file: &InputFile, segments: &[Segment]) -> Self {
        let mut gathered = Self::default();
        for segment in segments.iter().filter(|segment| segment.kind == elf::NOTE) {
            let mut notes = Notes::new(file, segment);
            for note in notes.by_ref() {
                gathered.take(file, &note);
            }
            if notes.is_cut() || segment.offset.saturating_add(segment.file_size) > file.size() {
                gathered.complain("the notes of the core are cut off or damaged");
            }
        }
        gathered.finish_areas();
        gathered
    }

    pub fn complain(&mut self, message: &str) {
        self.soft_errors.push(SoftError::new(Stage::Target, message));
    }

    fn take(&mut self, file: &InputFile, note: &Note) {
        let contents = |most: u64| (note.size <= most).then(|| file.bytes(note.offset, note.size));
        match (note.owner.as_slice(), note.kind) {
            (b"CORE", PRSTATUS) => self.take_thread(contents(MAX_THREAD_NOTE).as_deref()),
            (b"CORE", FPREGSET) => self.take_area(contents(MAX_THREAD_NOTE), FXSAVE_SIZE),
            (b"LINUX", X86_XSTATE) => self.take_area(contents(MAX_THREAD_NOTE), usize::MAX),
            (b"CORE", SIGINFO) => {
                if let Some(thread) = self.threads.last_mut() {
                    thread.siginfo = contents(MAX_THREAD_NOTE);
                }
            }
            (b"CORE", PRPSINFO) => keep(&mut self.prpsinfo, contents(MAX_THREAD_NOTE)),
            (b"CORE", AUXV) => keep(&mut self.auxv, contents(MAX_THREAD_NOTE)),
            (b"CORE", FILE) => keep(&mut self.files, contents(MAX_NOTE)),
            (b"LINUX", X86_XSAVE_LAYOUT) if self.components.is_empty() => {
                self.components = xsave::listed(&contents(MAX_THREAD_NOTE).unwrap_or_default());
            }
            (owner, HOLE_TABLE_NOTE) if is_ours(owner) => self.take_holes(file, contents(MAX_THREAD_NOTE)),
            (owner, kind) if is_ours(owner) && self.own.len() < 64 => {
                if let Some(contents) = contents(MAX_NOTE) {
                    self.own.entry(kind).or_insert(contents);
                }
            }
            _ => {}
        }
    }

    fn take_thread(&mut self, contents: Option<&[u8]>) {
        let Some(status) = contents.and_then(status::parse) else {
            return self.complain("the status of a thread in the core is cut off");
        };
        if self.threads.len() < MAX_THREADS {
            self.threads.push(GatheredThread { status, siginfo: None });
        } else if self.threads.len() == MAX_THREADS {
            self.complain("only the first 65,536 threads of the core were read");
        }
    }

    /// Registers beyond the general ones, of the thread whose status came last.
    fn take_area(&mut self, contents: Option<Vec<u8>>, most: usize) {
        let Some(mut area) = contents else { return };
        area.truncate(most);
        let Some(state) = self.threads.last_mut().and_then(|thread| amd64(thread)) else { return };
        if area.len() >= FXSAVE_SIZE && area.len() > state.xsave.len() {
            state.xsave = area;
        }
    }

    /// Cuts the XSAVE areas to what is in use, now that it is known what they are made of.
    fn finish_areas(&mut self) {
        if self.components.is_empty() {
            let areas = self.threads.iter_mut().filter_map(amd64).map(|state| &state.xsave);
            let largest = areas.max_by_key(|area| area.len());
            self.components = largest.map(|area| xsave::guessed(area)).unwrap_or_default();
        }
        let components = &self.components;
        for state in self.threads.iter_mut().filter_map(amd64) {
            xsave::cut(&mut state.xsave, components);
        }
    }

    /// The table of holes: number and bytes of all, then address and size of each.
    fn take_holes(&mut self, file: &InputFile, locator: Option<Vec<u8>>) {
        let locator = locator.unwrap_or_default();
        let (Some(table), Some(capacity)) = (u64_at(&locator, 8), u32_at(&locator, 16)) else { return };
        let size = u64::from(capacity).saturating_mul(16).min(MAX_HOLES);
        let entries = file.bytes(table.saturating_add(16), size);
        let hole = |entry: &[u8]| {
            let start = u64_at(entry, 0)?;
            Some((start, start.checked_add(u64_at(entry, 8)?)?))
        };
        self.holes = entries.chunks_exact(16).filter_map(hole).filter(|(start, end)| start < end).collect();
    }

    /// The facts that our own encoder wrote.
    pub fn facts(&self) -> Option<&[u8]> {
        self.own.get(&FACTS_NOTE).map(Vec::as_slice)
    }

    /// The soft errors that our own encoder wrote, as JSON.
    pub fn own_soft_errors(&self) -> Option<&[u8]> {
        self.own.get(&SOFT_ERRORS_NOTE).map(Vec::as_slice)
    }
}

fn is_ours(owner: &[u8]) -> bool {
    OWNER.strip_suffix(b"\0") == Some(owner)
}

fn keep(slot: &mut Option<Vec<u8>>, contents: Option<Vec<u8>>) {
    if slot.is_none() {
        *slot = contents;
    }
}

fn amd64(thread: &mut GatheredThread) -> Option<&mut Amd64State> {
    match thread.status.thread.cpu.as_mut()? {
        CpuState::Amd64(state) => Some(state),
        _ => None,
    }
}
