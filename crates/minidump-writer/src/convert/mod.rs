//! Dumps of one format turned into dumps of another: ELF and Mach-O cores, of any maker, into minidumps, and minidumps
//! into the core of the system that they are of.
//!
//! A dump is read into what a capture yields (snapshot, memory, and which memory there is), and written like a capture.
//! So the options of a dump hold: [`DumpOptions::memory`] says how much of a core's memory is kept, `sanitize` and
//! `omit` work. Memory use does not grow with the memory in the dump. Input is foreign: everything in it is bounded, and
//! of a dump that is cut off or damaged what can be read is converted, with soft errors.
//!
//! ELF cores do not hold what is in files, such as code. Where such a core tells the build id of a module, and there is a file at
//! the module's path that has the same build id, memory that the core lacks is taken from that file.

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
mod dying;
mod error;
mod held;
mod input;
mod memory;
mod positioned;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod words;

pub use crate::core_file::copy_head;
#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
pub use dying::{DyingProcess, convert_beside};
pub use error::ConvertError;
pub(crate) use held::Held;
pub use input::Input;
pub(crate) use input::InputFile;
pub(crate) use memory::{FileMemory, Piece};

use crate::encode::{Captured, encode, is_apples};
use crate::snapshot::{MemoryPlan, Snapshot};
use crate::{DumpOptions, DumpReport, Format, core_file, macho_file, minidump_file};
use minidump_formats::minidump::FormatError;
use std::io;
use std::time::{Duration, Instant};

/// A dump, read.
pub(crate) struct Source {
    /// Facts.
    pub snapshot: Snapshot,
    /// Its memory.
    pub memory: FileMemory,
    /// Which memory the dump's maker had chosen, when that was not all there was.
    pub chosen: Option<Held>,
    /// What the dump is.
    pub format: Format,
}

/// Turns the dump `input` into one of `format`, by default the other one: a core becomes a minidump, and a minidump a
/// core, an ELF core if the process was one of Linux, a Mach-O core if it was one of an Apple system.
///
/// Of `options`, the memory policy, what to hide and what to leave out are followed. The policy is for cores of other
/// makers and for dumps of all memory: what a policy has chosen already, in a minidump or a small core of ours, is kept
/// whole. [`DumpOptions::format`] is not looked at, nor is what only a capture can do.
///
/// # Errors
/// When `input` cannot be read or is no dump of an x86-64 Linux program or of a 64-bit program of an Apple system, when
/// `format` is the core of the other system, or `output` fails. What is merely missing is in
/// [`DumpReport::soft_errors`], and in the dump.
pub fn convert(
    input: Input<'_>,
    format: Option<Format>,
    options: &DumpOptions,
    output: &mut dyn io::Write,
) -> Result<DumpReport, ConvertError> {
    let start = Instant::now();
    write(read(input, options)?, format, options, output, start)
}

/// Writes what was read, since `start`.
fn write(
    mut source: Source,
    format: Option<Format>,
    options: &DumpOptions,
    output: &mut dyn io::Write,
    start: Instant,
) -> Result<DumpReport, ConvertError> {
    annotate(&mut source.snapshot, &options.annotations);
    let plan = plan(&mut source, options);
    let format = format.unwrap_or(match source.format {
        Format::ElfCore | Format::MachOCore => Format::Minidump,
        Format::Minidump if is_apples(&source.snapshot) => Format::MachOCore,
        Format::Minidump => Format::ElfCore,
    });
    let captured =
        Captured { snapshot: &mut source.snapshot, plan: &plan, memory: &source.memory, is_complete: false };
    let written = encode(captured, format, options, &[], output).map_err(|error| match error {
        FormatError::Output { source } => ConvertError::Output { source },
        source => ConvertError::Format { source },
    })?;
    output.flush().map_err(|source| ConvertError::Output { source })?;
    Ok(DumpReport {
        bytes: written.bytes,
        stopped: Duration::ZERO,
        wall: start.elapsed(),
        threads: source.snapshot.threads.len(),
        modules: source.snapshot.modules.len(),
        soft_errors: source.snapshot.soft_errors,
    })
}

/// Adds what the caller has to say about the dump. It takes the place of what the dump says under the same key.
fn annotate(snapshot: &mut Snapshot, annotations: &[(String, String)]) {
    snapshot.annotations.retain(|(key, _)| annotations.iter().all(|(new, _)| new != key));
    snapshot.annotations.extend_from_slice(annotations);
}

/// Reads a dump of any format, which its first bytes tell.
pub(crate) fn read(input: Input<'_>, options: &DumpOptions) -> Result<Source, ConvertError> {
    let file = InputFile::open(input).map_err(|source| ConvertError::Input { source })?;
    match file.array::<4>(0) {
        Some([0x7f, b'E', b'L', b'F']) => core_file::read(file, None, options),
        Some([0xcf, 0xfa, 0xed, 0xfe]) => macho_file::read(file, options),
        Some([0xce, 0xfa, 0xed, 0xfe]) => Err(ConvertError::OtherMachine { what: "a 32-bit program" }),
        Some([0xfe, 0xed, 0xfa, 0xce | 0xcf]) => {
            Err(ConvertError::OtherMachine { what: "a big-endian processor" })
        }
        Some([b'M', b'D', b'M', b'P']) => minidump_file::read(file),
        _ => Err(ConvertError::NotADump),
    }
}

/// Which of the memory that there is goes into the new dump: what the policy of `options` asks for, and all that the
/// maker of the old one had chosen by a policy.
fn plan(source: &mut Source, options: &DumpOptions) -> MemoryPlan {
    let Source { snapshot, memory, chosen, .. } = source;
    let held = memory.held();
    let mut errors = Vec::new();
    let planned = MemoryPlan::new(snapshot, &options.memory, &mut errors);
    let mut plan = held.cut(&planned, snapshot);
    if let Some(range) = options.memory.only_stacks_referring_to {
        (plan, _) = plan.only_stacks_that_refer_to(range, snapshot, memory);
    }
    let more = match chosen {
        Some(chosen) => chosen.plan(),
        None => held.cut(&plan.pointed_to(snapshot, &options.memory, memory, &mut errors), snapshot),
    };
    snapshot.soft_errors.extend(errors);
    plan.joined_with(&more)
}
