//! `dump`: captures a process into a file or onto the standard output.

use crate::args::{DumpArguments, FormatName, MemoryName};
use crate::destination::{self, Destination};
use crate::exit::Failure;
use crate::packing::Packer;
use crate::progress::{self, ProgressWriter};
use crate::summary::{self, Done};
use crate::{options, proc_maps, show, target_name};
use minidump_writer::{DumpOptions, DumpReport, Error, dump_process};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Runs the command.
pub fn run(arguments: &DumpArguments) -> Result<(), Failure> {
    let options = options::of_dump(arguments)?;
    let path = arguments.output.output.clone().unwrap_or_else(|| default_path(arguments));
    let mut destination = Destination::open(&path)?;
    if arguments.output.show && destination.is_direct() {
        let sentence = format!(
            "{} is a pipe or a device, which --show cannot read back; choose a file with -o FILE",
            path.display()
        );
        return Err(Failure::Failed(sentence));
    }
    let done = dump_to(arguments, &options, &mut destination)?;
    destination.commit()?;
    tell(arguments, &done, &path)
}

fn tell(arguments: &DumpArguments, done: &Done, path: &Path) -> Result<(), Failure> {
    if arguments.output.json {
        return summary::print(done, path, arguments.output.show);
    }
    if destination::is_dash(path) {
        summary::tell(done, "the standard output");
        return Ok(());
    }
    summary::tell(done, &path.to_string_lossy());
    if arguments.output.show { show::print(path, false) } else { Ok(()) }
}

fn default_path(arguments: &DumpArguments) -> PathBuf {
    let extension = match (arguments.output.format, arguments.output.compress) {
        (FormatName::Minidump, false) => "dmp",
        (FormatName::Minidump, true) => "dmp.zst",
        (FormatName::Core | FormatName::MachoCore, false) => "core",
        (FormatName::Core | FormatName::MachoCore, true) => "core.zst",
    };
    target_name::default_path(arguments.pid, extension)
}

fn dump_to(
    arguments: &DumpArguments,
    options: &DumpOptions,
    destination: &mut Destination,
) -> Result<Done, Failure> {
    let started = Instant::now();
    let compress = arguments.output.compress;
    // Nothing slow may happen while the process stands still.
    let (report, bytes) = if arguments.holds_the_process() && (compress || !destination.is_prompt()) {
        through_a_spool(arguments, options, destination)?
    } else {
        capture(arguments, options, destination, compress)?
    };
    Ok(Done { report, bytes, is_compressed: compress, wall: started.elapsed(), is_live: true })
}

/// Writes to a temporary file first, and compresses or hands over when the process runs again.
fn through_a_spool(
    arguments: &DumpArguments,
    options: &DumpOptions,
    destination: &mut Destination,
) -> Result<(DumpReport, u64), Failure> {
    let mut spool = destination.spool().map_err(|error| {
        let sentence = format!(
            "cannot create the temporary file in which the dump waits until the process runs again: {error}; use \
             --cow, which needs none, or set TMPDIR"
        );
        Failure::Failed(sentence)
    })?;
    let (report, size) = capture(arguments, options, &mut spool, false)?;
    let doing = if arguments.output.compress { "compressing" } else { "handing over" };
    let packed = Packer::new(destination, arguments.output.compress).and_then(|packer| {
        let mut writer = ProgressWriter::new(packer, doing, Some(size));
        let handed_over = spool.hand_over(&mut writer);
        let packer = writer.finish();
        handed_over.and_then(|()| packer.finish())
    });
    let bytes = packed.map_err(|error| destination::write_failure(&error))?;
    Ok((report, bytes))
}

/// Captures the process and writes the dump. Returns also the number of bytes that reached `output`.
fn capture(
    arguments: &DumpArguments,
    options: &DumpOptions,
    output: &mut dyn Write,
    compress: bool,
) -> Result<(DumpReport, u64), Failure> {
    let packer = Packer::new(output, compress).map_err(|error| destination::write_failure(&error))?;
    let mut writer = ProgressWriter::new(packer, "writing the dump", expected_size(arguments));
    let result = dump_process(arguments.pid, options, &mut writer);
    let packer = writer.finish();
    let report = result.map_err(|error| failure(&error))?;
    let bytes = packer.finish().map_err(|error| destination::write_failure(&error))?;
    Ok((report, bytes))
}

/// About how large the dump will be, when that is worth telling.
fn expected_size(arguments: &DumpArguments) -> Option<u64> {
    if arguments.memory.mode != MemoryName::Full || !progress::is_visible() {
        return None;
    }
    let smaps = fs::read(format!("/proc/{}/smaps", arguments.pid)).ok()?;
    Some(proc_maps::dumpable_bytes(&smaps)).filter(|size| *size > 0)
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::Output { source } => destination::write_failure(source),
        _ => Failure::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_destination_is_told_apart_from_a_failing_capture() {
        let sentence = |error| match failure(&error) {
            Failure::Failed(sentence) => sentence,
            other => panic!("{other:?}"),
        };
        assert_eq!(sentence(Error::NoSuchProcess { pid: 5 }), "there is no process 5");
        let full = sentence(Error::Output { source: std::io::ErrorKind::StorageFull.into() });
        assert!(full.starts_with("the dump could not be written: ") && full.ends_with("-o FILE"), "{full}");
    }
}
