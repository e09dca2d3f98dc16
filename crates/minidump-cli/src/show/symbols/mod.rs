//! Function names, source lines and call frame information from the files of this machine.
//!
//! A file is used only when it is the very build that the dump names. Files are opened when the first frame needs
//! them. Registers of callers are recovered for x86-64, and for innermost functions of Mach-O modules; elsewhere the unwinder
//! follows frame pointers. For x86-64 Windows the tables of functions are taken from the dump's memory, too.

mod cfi;
mod compact_unwind;
mod compressed_section;
mod expression;
mod files;
mod lines;
mod loaded;
mod object_file;
mod pe_image;
mod pe_images;
mod pe_unwind;
mod slice;
mod table;
mod vdso;

pub use files::{open_without_waiting, uuid};

use super::model::SymbolsFound;
use async_trait::async_trait;
use files::Identity;
use loaded::Loaded;
use minidump::{MinidumpModuleList, Module, UnifiedMemoryInfo, UnifiedMemoryInfoList, UnifiedMemoryList};
use minidump_unwind::{FileError, FileKind, FillSymbolError, FrameSymbolizer, FrameWalker, SymbolProvider};
use pe_images::PeImages;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Serves the unwinder from local files.
pub struct LocalSymbols<'a> {
    /// What the dump says about its modules, by base address.
    modules: HashMap<u64, Identity>,
    /// Executable regions, by address; none when the dump does not tell.
    executable: Vec<(u64, u64)>,
    /// Where threads wait in a system call: addresses behind its instruction, in functions that have no frame.
    in_system_call: HashSet<u64>,
    /// The images of a process of x86-64 Windows.
    images: Option<PeImages<'a>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: HashMap<u64, Result<Box<Loaded>, SymbolsFound>>,
    /// Where functions were interrupted by a signal: exact addresses among the return addresses.
    interrupted: HashSet<u64>,
}

impl<'a> LocalSymbols<'a> {
    /// A provider for the modules of a dump. `regions` tells code from data; `pid` is the process, which may be alive;
    /// `in_system_call` has the instruction pointers of threads that wait in a function without frame.
    pub fn new(
        modules: &MinidumpModuleList,
        regions: Option<&UnifiedMemoryInfoList>,
        pid: Option<u32>,
        in_system_call: HashSet<u64>,
    ) -> Self {
        let identities = modules.iter().map(|module| (module.base_address(), Identity::new(module, pid)));
        let mut executable: Vec<(u64, u64)> = regions
            .into_iter()
            .flat_map(UnifiedMemoryInfoList::iter)
            .filter(UnifiedMemoryInfo::is_executable)
            .filter_map(|region| region.memory_range().map(|range| (range.start, range.end)))
            .collect();
        executable.sort_unstable();
        let modules = identities.collect();
        Self { modules, executable, in_system_call, images: None, state: Mutex::default() }
    }

    /// Takes callers from the images of a process of x86-64 Windows, as far as `memory` or this machine has them.
    pub fn with_images(self, modules: &MinidumpModuleList, memory: &'a UnifiedMemoryList<'a>) -> Self {
        Self { images: Some(PeImages::new(modules, memory)), ..self }
    }

    /// What was found for the modules that were needed, by base address.
    pub fn found(&self) -> HashMap<u64, SymbolsFound> {
        let state = self.state();
        let found = state.loaded.iter().map(|(base, loaded)| {
            (*base, loaded.as_ref().map_or_else(|missing| *missing, |loaded| loaded.found()))
        });
        found.collect()
    }

    /// Whether `instruction`, in the module at `base`, is the code that the kernel has handlers of signals return to.
    pub fn is_signal_return(&self, base: u64, instruction: u64) -> bool {
        let mut state = self.state();
        let address = state.exact(instruction);
        state.module(base, &self.modules).is_some_and(|loaded| loaded.is_signal_return(address))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there may be code at `address`.
    fn may_be_code(&self, address: u64) -> bool {
        let next = self.executable.partition_point(|(start, _)| *start <= address);
        let region = next.checked_sub(1).and_then(|index| self.executable.get(index));
        self.executable.is_empty() || region.is_some_and(|(_, end)| address <= *end)
    }
}

impl State {
    fn module(&mut self, base: u64, modules: &HashMap<u64, Identity>) -> Option<&mut Loaded> {
        let entry = self.loaded.entry(base).or_insert_with(|| {
            let identity = modules.get(&base).ok_or(SymbolsFound::Missing)?;
            Loaded::load(base, identity).map(Box::new)
        });
        entry.as_deref_mut().ok()
    }

    /// The address to look up for a frame whose address is `instruction`. That of a caller was moved back into the
    /// call, which is wrong when there was none because a signal interrupted the function.
    fn exact(&self, instruction: u64) -> u64 {
        let next = instruction.wrapping_add(1);
        if self.interrupted.contains(&next) { next } else { instruction }
    }
}

/// Sets the caller of a function that has pushed nothing: AArch64 keeps its return address in the link register, x86 and
/// x86-64 at the stack pointer.
fn frameless_caller(walker: &mut (dyn FrameWalker + Send)) -> Option<()> {
    for (name, pointer_size) in [("rsp", 8), ("esp", 4)] {
        if let Some(sp) = walker.get_callee_register(name) {
            let return_address = walker.get_register_at_address(sp)?;
            walker.set_cfa(sp.checked_add(pointer_size)?)?;
            return walker.set_ra(return_address);
        }
    }
    let (sp, lr) = (walker.get_callee_register("sp")?, walker.get_callee_register("x30")?);
    walker.set_cfa(sp)?;
    walker.set_ra(lr)
}

#[async_trait]
impl SymbolProvider for LocalSymbols<'_> {
    async fn fill_symbol(
        &self,
        module: &(dyn Module + Sync),
        frame: &mut (dyn FrameSymbolizer + Send),
    ) -> Result<(), FillSymbolError> {
        let mut state = self.state();
        let address = state.exact(frame.get_instruction());
        if !self.may_be_code(address) {
            // A success without a name tells the unwinder that a supposed return address is none.
            return Ok(());
        }
        let loaded = state.module(module.base_address(), &self.modules).ok_or(FillSymbolError {})?;
        loaded.fill(address, frame)
    }

    async fn walk_frame(
        &self,
        module: &(dyn Module + Sync),
        walker: &mut (dyn FrameWalker + Send),
    ) -> Option<()> {
        if !walker.has_grand_callee() && self.in_system_call.contains(&walker.get_instruction()) {
            return frameless_caller(walker);
        }
        let images = self.images.as_ref();
        if let Some(found) = images.and_then(|images| images.step(module.base_address(), walker)) {
            return Some(found);
        }
        let mut state = self.state();
        let address = state.exact(walker.get_instruction());
        let step = state.module(module.base_address(), &self.modules)?.step(address, walker)?;
        if let Some(interrupted) = step.interrupted {
            state.interrupted.insert(interrupted);
        }
        Some(())
    }

    async fn get_file_path(
        &self,
        _module: &(dyn Module + Sync),
        _kind: FileKind,
    ) -> Result<PathBuf, FileError> {
        Err(FileError::NotFound)
    }
}
