//! Cores of processes that are still there, as a program in `kernel.core_pattern` gets them.

use super::{ConvertError, Input, InputFile, write};
use crate::{DumpOptions, DumpReport, Error, Format, Pid, core_file, sys};
use std::io;

/// A process that the kernel holds because its core is being taken (core(5)).
///
/// It is held until the reader of the core closes its end, or ends when `core_pipe_limit` is not 0. Until then /proc tells
/// what a core does not.
#[derive(Debug)]
pub struct DyingProcess(sys::Dying);

impl DyingProcess {
    /// Reads what /proc tells of process `pid`.
    ///
    /// # Errors
    /// When it is not there, may not be looked at, or is not held for a core: the id may be another process' by now.
    pub fn examine(pid: Pid) -> Result<Self, Error> {
        sys::Dying::examine(pid).map(Self)
    }
}

/// Writes a minidump of the core `input`, with what /proc tells of its process, which must still be held.
///
/// Of `input`, the headers and the notes suffice: memory that it lacks is read from the process, as far as the kernel
/// would have put it into the core, and files that were mapped read-only. Ids of threads are those of the caller's
/// namespace, not those in the core. Otherwise as [`convert`](super::convert).
///
/// # Errors
/// As those of [`convert`](super::convert).
pub fn convert_beside(
    input: Input<'_>,
    process: DyingProcess,
    options: &DumpOptions,
    output: &mut dyn io::Write,
) -> Result<DumpReport, ConvertError> {
    let start = std::time::Instant::now();
    let file = InputFile::open(input).map_err(|source| ConvertError::Input { source })?;
    if file.array(0) != Some(*b"\x7fELF") {
        return Err(ConvertError::NotACore);
    }
    let source = core_file::read(file, Some(Box::new(process.0)), options)?;
    write(source, Some(Format::Minidump), options, output, start)
}
