//! The images of a process of x86-64 Windows, looked up when the first frame needs them.

use super::pe_image::{PeImage, place};
use super::pe_unwind;
use minidump::{MinidumpModuleList, Module as _, UnifiedMemoryList};
use minidump_unwind::FrameWalker;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What unwinding needs of the modules of a dump.
pub struct PeImages<'a> {
    memory: &'a UnifiedMemoryList<'a>,
    /// By base address.
    modules: HashMap<u64, Identity>,
    loaded: Mutex<HashMap<u64, Option<PeImage<'a>>>>,
}

/// Which build of which file a module is.
struct Identity {
    path: String,
    time_stamp: u32,
    size: u32,
}

impl<'a> PeImages<'a> {
    /// Those of a dump.
    pub fn new(modules: &MinidumpModuleList, memory: &'a UnifiedMemoryList<'a>) -> Self {
        let identities = modules.iter().map(|module| {
            let (time_stamp, size) = (module.raw.time_date_stamp, module.raw.size_of_image);
            (module.base_address(), Identity { path: module.name.clone(), time_stamp, size })
        });
        Self { memory, modules: identities.collect(), loaded: Mutex::default() }
    }

    /// Sets the caller of the function that `walker` is in, in the module at `base`. `None` when nothing tells it.
    pub fn step(&self, base: u64, walker: &mut (dyn FrameWalker + Send)) -> Option<()> {
        let at = u32::try_from(walker.get_instruction().checked_sub(base)?).ok()?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let image = loaded.entry(base).or_insert_with(|| self.load(base));
        pe_unwind::step(image.as_ref()?, at, walker)
    }

    /// From memory, of which a dump has the headers seldom without the rest, or else from the file.
    fn load(&self, base: u64) -> Option<PeImage<'a>> {
        let Identity { path, time_stamp, size } = self.modules.get(&base)?;
        let in_file = || PeImage::in_file(&place(path)?, *time_stamp, *size);
        let in_memory = PeImage::in_memory(self.memory, base).filter(PeImage::has_functions);
        in_memory.or_else(in_file)
    }
}
