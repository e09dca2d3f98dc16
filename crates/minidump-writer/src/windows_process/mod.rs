//! What a process of Windows is known by, on any host: its environment blocks, its loader's lists, and the PE images in
//! its memory.
//!
//! The back end for Windows reads these from a live process. Nothing here asks the system on which it runs; whoever can
//! reach the process' files lends them as [`ImageFiles`]. All of it lies in memory that a crashing program may have
//! overwritten, so every loop and every length is bounded, and what cannot be had is a soft error.

mod allocations;
mod blocks;
mod layout;
mod loader;
mod modules;
mod parameters;
mod paths;
mod pe;
mod reader;
mod unloaded;

pub use layout::PointerSize;
pub use unloaded::UnloadTrace;

use minidump_snapshot::{
    EnvironmentBlock, MemorySource, Module, PeImage, Region, SoftError, Stage, UnloadedModule, WindowsRegion,
};
use std::io;

/// Most soft errors that one examination adds.
const MAX_ERRORS: usize = 256;

/// A way to the files of images.
pub trait ImageFiles {
    /// Reads from byte `offset` on of the file `path` into `buffer`; returns how many bytes came, fewer only at the end
    /// of the file. `path` never names another machine, a device or a pipe by its form (the target had a say in it), but
    /// its drive may be one of the network: an implementation should see to that, and to a deadline.
    ///
    /// # Errors
    /// When the file cannot be had.
    fn read(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Where the 64-bit structures of a 32-bit program on a 64-bit system lie.
#[derive(Debug, Clone, Copy)]
pub struct NativeBlocks<'a> {
    /// Address of the 64-bit process environment block.
    pub peb: u64,
    /// Addresses of the threads' 64-bit environment blocks.
    pub tebs: &'a [u64],
}

/// What is known of the process before its own structures are read.
#[derive(Clone, Copy)]
pub struct ProcessView<'a> {
    /// Its memory.
    pub memory: &'a dyn MemorySource,
    /// Its memory map, by ascending address: names of mapped files are taken from there.
    pub regions: &'a [Region],
    /// Its whole address space, by ascending address: tells what an image is and where it ends. When it is empty, the
    /// loader's lists are all there is to go by.
    pub address_space: &'a [WindowsRegion],
    /// Size of its pointers; of a 32-bit program on a 64-bit system four bytes.
    pub pointer_size: PointerSize,
    /// Address of the process environment block of this pointer size; zero when unknown.
    pub peb: u64,
    /// Addresses of the threads' environment blocks of this pointer size.
    pub tebs: &'a [u64],
    /// For a 32-bit program on a 64-bit system.
    pub native: Option<NativeBlocks<'a>>,
    /// Its files.
    pub files: &'a dyn ImageFiles,
    /// Where its list of unloaded modules lies.
    pub unload_trace: Option<UnloadTrace>,
}

/// What the process' structures tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoaderFacts {
    /// By ascending address, not overlapping.
    pub modules: Vec<Module>,
    /// One for each module, in the same order.
    pub images: Vec<PeImage>,
    /// The latest first.
    pub unloaded_modules: Vec<UnloadedModule>,
    /// Ranges (address, size) that a debugger needs. No environment is in any of them.
    pub structures: Vec<(u64, u64)>,
    /// The environment.
    pub environment: Option<EnvironmentBlock>,
    /// Of a 32-bit program on a 64-bit system: the environment that its 64-bit parameters have, a copy.
    pub native_environment: Option<EnvironmentBlock>,
    /// Path of the main executable as the process was started with, UTF-8.
    pub executable: Option<Vec<u8>>,
    /// Command line.
    pub command_line: Option<String>,
    /// Where it lies: address and size in bytes.
    pub command_line_at: Option<(u64, u64)>,
}

impl LoaderFacts {
    /// The structures without the command line where that is not wanted, and with the environment where it is.
    #[must_use]
    pub fn structures_with(&self, command_line: bool, environment: bool) -> Vec<(u64, u64)> {
        let mut structures = self.structures.clone();
        if let Some(place) = self.command_line_at.filter(|_| !command_line) {
            structures = parameters::without(structures, place);
        }
        let blocks =
            [&self.environment, &self.native_environment].into_iter().flatten().filter(|_| environment);
        structures.extend(blocks.map(|block| (block.address, block.text.len() as u64 * 2)));
        structures
    }
}

/// Reads the process' own structures. What is broken in them becomes soft errors, of which there are not more than a few
/// hundred.
pub fn examine(process: &ProcessView<'_>, soft_errors: &mut Vec<SoftError>) -> LoaderFacts {
    let mut errors = Vec::new();
    let blocks = blocks::read(process, &mut errors);
    let (modules, images) = modules::read(process, &blocks, &mut errors);
    let unloaded_modules = unloaded::read(process, &images, &modules, &mut errors);
    let parameters = blocks.parameters;
    let environments = [parameters.environment.as_ref(), blocks.native_environment.as_ref()];
    let structures =
        environments.into_iter().flatten().fold(blocks.structures, parameters::without_environment);
    let facts = LoaderFacts {
        modules,
        images,
        unloaded_modules,
        structures,
        environment: parameters.environment,
        native_environment: blocks.native_environment,
        executable: parameters.image_path.map(String::into_bytes),
        command_line: parameters.command_line,
        command_line_at: parameters.command_line_at,
    };
    hand_over(errors, soft_errors);
    facts
}

/// Appends `errors`, and of too many the first ones with a note.
fn hand_over(mut errors: Vec<SoftError>, soft_errors: &mut Vec<SoftError>) {
    let left = errors.len().saturating_sub(MAX_ERRORS);
    errors.truncate(MAX_ERRORS);
    soft_errors.append(&mut errors);
    if left > 0 {
        let message = format!("{left} more errors in the loader's lists and images are not told");
        soft_errors.push(SoftError::new(Stage::Module, message));
    }
}

#[cfg(test)]
mod tests;
