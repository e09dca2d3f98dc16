use crate::snapshot::MemoryMode;
use crate::{DumpOptions, DumpReport, Error, Format, Pid, sys};
use minidump_formats::minidump::{self, FormatError, LayoutOptions, SectionWriter};
use std::io;
use std::time::Instant;

/// Captures process `pid` and writes a dump of it, front to back, to `output`.
///
/// `pid` may also be the id of a thread, which is then blamed. The target stands still only while its threads, its
/// registers and the memory of the plan are read; everything else, the writing included, happens before or after.
/// A dump of all memory without `copy_on_write` is the exception: it is written while the target stands still, for at
/// most [`DumpOptions::hold_limit`].
///
/// # Errors
/// When there is no dump: the process cannot be captured, or `output` fails. What is merely missing from the dump is
/// in [`DumpReport::soft_errors`], and in the dump.
pub fn dump_process(
    pid: Pid,
    options: &DumpOptions,
    output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    dump_process_with(pid, options, &[], output)
}

/// As [`dump_process`], with streams of the application's own in the minidump.
///
/// # Errors
/// As [`dump_process`]; also when two sections have the same stream type.
pub fn dump_process_with(
    pid: Pid,
    options: &DumpOptions,
    sections: &[&dyn SectionWriter],
    output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    let start = Instant::now();
    if let Some(what) = unsupported(options) {
        return Err(Error::UnsupportedOption { pid, what });
    }
    let capture = sys::capture(pid, options)?;
    let format = |source| Error::Format { pid, source };
    let layout_options = LayoutOptions {
        extra_sections: sections,
        source_is_complete: capture.is_complete(),
        ..LayoutOptions::default()
    };
    let layout = minidump::layout(&capture.snapshot, &capture.plan, &layout_options).map_err(format)?;
    let written = layout.write(&capture.memory, output).map_err(|error| match error {
        FormatError::Output { source } => Error::Output { source },
        other => format(other),
    })?;
    let (threads, modules) = (capture.snapshot.threads.len(), capture.snapshot.modules.len());
    let soft_errors = capture.snapshot.soft_errors.clone();
    let stopped = capture.finish();
    output.flush().map_err(|source| Error::Output { source })?;
    Ok(DumpReport { bytes: written.bytes, stopped, wall: start.elapsed(), threads, modules, soft_errors })
}

/// What of `options` would be ignored.
fn unsupported(options: &DumpOptions) -> Option<&'static str> {
    let memory = &options.memory;
    let asked = [
        (options.format == Format::ElfCore, "an ELF core"),
        (options.copy_on_write, "a copy-on-write dump"),
        (options.sanitize, "sanitising stacks"),
        (!options.omit.is_empty(), "leaving out streams"),
        (!options.annotations.is_empty(), "storing annotations"),
        (memory.mode != MemoryMode::Stacks, "memory beyond stacks"),
        (!memory.application.is_empty(), "memory chosen by the application"),
        (memory.only_stacks_referring_to.is_some(), "a choice of stacks"),
    ];
    asked.iter().find(|(asked, _)| *asked).map(|(_, what)| *what)
}
