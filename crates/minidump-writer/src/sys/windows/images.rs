//! Modules and structures of the process: from its own lists, which `windows_process` reads.
//!
//! They are read twice. Before the target stands still, so that the plan has the structures; and afterwards, from the memory
//! that was copied of them and with the files at hand. In between it is only seen whether they may have changed.

use super::ntdll::{self, Address};
use super::open::Target;
use super::process::ProcessFacts;
use super::threads::ThreadHandle;
use crate::snapshot::{MemorySource, Module, PeImage, ReadOutcome, Region, SoftError, WindowsRegion};
use crate::windows_process::{
    ImageFiles, LoaderFacts, NativeBlocks, PointerSize, ProcessView, UnloadTrace, examine,
};
use std::io;
use windows_sys::Win32::System::Memory::MEM_IMAGE;

/// The environment blocks of threads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tebs {
    /// Of the program's pointer size.
    own: Vec<u64>,
    /// The 64-bit ones of a 32-bit program.
    native: Vec<u64>,
}

impl Tebs {
    /// Those of `threads`.
    pub fn of(threads: &[ThreadHandle]) -> Self {
        let mut tebs = Self::default();
        for thread in threads {
            tebs.own.push(thread.own_teb());
            tebs.native.extend(thread.teb32.map(|_| thread.teb));
        }
        tebs
    }
}

/// What the process' structures are read with.
pub struct View<'a> {
    pub target: &'a Target,
    pub process: &'a ProcessFacts,
    pub memory: &'a dyn MemorySource,
    pub regions: &'a [Region],
    pub address_space: &'a [WindowsRegion],
    pub tebs: &'a Tebs,
}

impl View<'_> {
    /// Reads them.
    pub fn examine(&self, files: &dyn ImageFiles, errors: &mut Vec<SoftError>) -> LoaderFacts {
        let native = self.process.peb.filter(|_| self.target.is_wow64);
        let peb = if self.target.is_wow64 { self.process.peb32 } else { self.process.peb };
        let is_short = self.target.is_wow64 || cfg!(target_pointer_width = "32");
        let view = ProcessView {
            memory: self.memory,
            regions: self.regions,
            address_space: self.address_space,
            pointer_size: if is_short { PointerSize::Four } else { PointerSize::Eight },
            peb: peb.unwrap_or(0),
            tebs: &self.tebs.own,
            native: native.map(|peb| NativeBlocks { peb, tebs: &self.tebs.native }),
            files,
            // The own ntdll tells where the list lies in programs of the same pointer size.
            unload_trace: if self.target.is_wow64 { None } else { unload_trace() },
        };
        examine(&view, errors)
    }
}

/// What was read before the target stood still, and what tells whether it holds.
#[derive(Debug)]
pub struct Images {
    pub facts: LoaderFacts,
    bases: Vec<u64>,
    tebs: Tebs,
}

impl Images {
    /// Reads from memory alone.
    pub fn read(view: &View<'_>) -> Self {
        // What is wrong shows again, and is told, when they are read for the last time.
        let facts = view.examine(&NoFiles, &mut Vec::new());
        Self { facts, bases: bases(view.address_space), tebs: view.tebs.clone() }
    }

    /// Whether no image came or went, nor a thread.
    pub fn hold(&self, address_space: &[WindowsRegion], tebs: &Tebs) -> bool {
        self.tebs == *tebs && self.bases == bases(address_space)
    }
}

/// Where images are mapped.
fn bases(address_space: &[WindowsRegion]) -> Vec<u64> {
    let starts = address_space.iter().filter(|range| range.kind == MEM_IMAGE);
    starts.filter(|range| range.base == range.allocation_base).map(|range| range.base).collect()
}

/// The modules of `now`; those whose headers could not be read (any more) as they were `before`.
pub fn completed(before: LoaderFacts, now: &mut LoaderFacts) {
    let known: Vec<(Module, PeImage)> = before.modules.into_iter().zip(before.images).collect();
    for (module, image) in now.modules.iter_mut().zip(&mut now.images) {
        let old = known.iter().find(|(old, _)| old.base == module.base && old.size == module.size);
        if let Some((old, old_image)) = old.filter(|(old, _)| module.id.is_none() && old.id.is_some()) {
            module.id.clone_from(&old.id);
            module.version = module.version.or(old.version);
            image.clone_from(old_image);
        }
    }
}

/// Files that nobody may look at.
struct NoFiles;

impl ImageFiles for NoFiles {
    fn read(&self, _path: &str, _offset: u64, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Memory as it was when the target stood still, and where that was not copied, as it is now.
pub struct Layered<'a> {
    pub copied: &'a dyn MemorySource,
    pub live: &'a dyn MemorySource,
}

impl MemorySource for Layered<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        const PAGE: u64 = 4096;
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(at) = address.checked_add(done as u64) else {
                return ReadOutcome::unreadable(done, None);
            };
            let copied = self.copied.read(at, rest).done;
            if copied > 0 {
                done += copied;
                continue;
            }
            // What was copied may begin in the next page, or in this one: then these bytes are newer.
            let in_page = usize::try_from(PAGE - at % PAGE).unwrap_or(1);
            let size = in_page.min(rest.len());
            let outcome = self.live.read(at, rest.get_mut(..size).unwrap_or_default());
            done += outcome.done;
            if outcome.done < size {
                return ReadOutcome { done, ..outcome };
            }
        }
        ReadOutcome::complete(done)
    }
}

/// Where ntdll keeps the list of modules that were unloaded (RtlGetUnloadEventTraceEx).
#[expect(unsafe_code, reason = "calls of the system")]
pub fn unload_trace() -> Option<UnloadTrace> {
    type Get = unsafe extern "system" fn(*mut *const u32, *mut *const u32, *mut *const usize);
    let found = ntdll::find(c"ntdll.dll", c"RtlGetUnloadEventTraceEx");
    // SAFETY: the function of this name has this signature.
    let get = unsafe { std::mem::transmute::<Address, Option<Get>>(found) }?;
    let (mut size, mut count, mut elements) = (std::ptr::null(), std::ptr::null(), std::ptr::null());
    // SAFETY: the pointers are to variables of the types that the call writes.
    unsafe { get(&raw mut size, &raw mut count, &raw mut elements) };
    let ntdll = ntdll::base(c"ntdll.dll")?;
    let is_there = !size.is_null() && !count.is_null() && !elements.is_null();
    is_there.then(|| UnloadTrace {
        pointer_size: if cfg!(target_pointer_width = "64") { PointerSize::Eight } else { PointerSize::Four },
        ntdll,
        element_size: size.addr() as u64,
        element_count: count.addr() as u64,
        elements: elements.addr() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::BufferSource;

    #[test]
    fn what_was_copied_comes_first_and_the_rest_is_as_it_is_now() {
        let (mut copied, mut live) = (BufferSource::new(), BufferSource::new());
        assert!(copied.insert(0x1ff0, vec![1; 0x10]));
        assert!(copied.insert(0x2000, vec![2; 0x1000]));
        assert!(live.insert(0x1000, vec![7; 0x4000]));
        let memory = Layered { copied: &copied, live: &live };
        let mut bytes = vec![0; 0x2010];
        assert_eq!(memory.read(0x1ff0, &mut bytes[..0x1020]), ReadOutcome::complete(0x1020));
        assert_eq!((bytes[0xf], bytes[0x10], bytes[0x100f], bytes[0x1010]), (1, 2, 2, 7));
        assert_eq!(memory.read(0x4000, &mut bytes).done, 0x1000);
        assert_eq!(memory.read(u64::MAX, &mut bytes).done, 0);
    }
}
