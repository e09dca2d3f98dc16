//! `dump`: captures a process into a file or onto the standard output.

use crate::args::{DumpArguments, FormatName, MemoryName};
use crate::exit::Failure;
use crate::packing::Packer;
use crate::progress::{self, ProgressWriter};
use crate::spool::Spool;
use crate::{options, proc_maps, show, target_name, text};
use minidump_writer::output::{DumpFile, OutputError};
use minidump_writer::snapshot::SoftError;
use minidump_writer::{DumpOptions, DumpReport, Error, dump_process};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What `--json` prints. Times in microseconds.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    path: String,
    bytes: u64,
    /// Size of the dump before it was compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    uncompressed_bytes: Option<u64>,
    stopped_us: u64,
    wall_us: u64,
    threads: usize,
    modules: usize,
    soft_errors: &'a [SoftError],
    /// The shown dump with `--show`; null when it could not be shown.
    #[serde(skip_serializing_if = "Shown::is_not_wanted")]
    show: Shown,
}

/// The shown dump.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Shown {
    /// It was not asked for.
    NotWanted,
    /// It was asked for and failed.
    Failed(Option<()>),
    /// Here it is.
    Dump(Box<show::Dump>),
}

impl Shown {
    fn is_not_wanted(&self) -> bool {
        matches!(self, Self::NotWanted)
    }
}

/// A dump that is where it was to go.
struct Done {
    /// What the library says. Its size is that before compressing.
    report: DumpReport,
    /// Bytes at the destination.
    bytes: u64,
    /// How long all of it took.
    wall: Duration,
}

/// Where a dump goes.
struct Sink<'a> {
    output: &'a mut dyn Write,
    /// A disk or a device takes the bytes, rather than a program that may be slow to.
    is_prompt: bool,
    /// Where a temporary file as large as the dump belongs, if not where temporary files do.
    directory: Option<&'a Path>,
}

/// Runs the command.
pub fn run(arguments: &DumpArguments) -> Result<(), Failure> {
    let options = options::of(arguments)?;
    if arguments.to_stdout() {
        let done = dump_to_stdout(arguments, &options)?;
        tell(arguments, &done, "the standard output");
        return Ok(());
    }
    let path = arguments.output.output.clone().unwrap_or_else(|| default_path(arguments));
    let done = dump_to_file(arguments, &options, &path)?;
    if arguments.output.json {
        return print_summary(arguments, &path, &done);
    }
    tell(arguments, &done, &path.to_string_lossy());
    if arguments.output.show {
        return show::print(&path, false);
    }
    Ok(())
}

fn default_path(arguments: &DumpArguments) -> PathBuf {
    let extension = match (arguments.output.format, arguments.output.compress) {
        (FormatName::Minidump, false) => "dmp",
        (FormatName::Minidump, true) => "dmp.zst",
        (FormatName::Core, false) => "core",
        (FormatName::Core, true) => "core.zst",
    };
    target_name::default_path(arguments.pid, extension)
}

fn dump_to_stdout(arguments: &DumpArguments, options: &DumpOptions) -> Result<Done, Failure> {
    if io::stdout().is_terminal() {
        let sentence = "the standard output is a terminal, and a dump is binary data; \
                        redirect it or choose a file with -o FILE";
        return Err(Failure::Failed(sentence.into()));
    }
    let mut output = unbuffered_stdout().map_err(|error| Failure::of_output(&error))?;
    let is_prompt = output.metadata().is_ok_and(|found| takes_bytes_promptly(&found));
    let sink = Sink { output: &mut output, is_prompt, directory: None };
    dump_to(arguments, options, sink)
}

/// The standard output without the line buffer that the standard library puts before it.
#[cfg(unix)]
fn unbuffered_stdout() -> io::Result<File> {
    use std::os::fd::AsFd as _;
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn unbuffered_stdout() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}

#[cfg(unix)]
fn takes_bytes_promptly(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    found.is_file() || found.file_type().is_char_device()
}

#[cfg(not(unix))]
fn takes_bytes_promptly(found: &fs::Metadata) -> bool {
    found.is_file()
}

fn dump_to_file(arguments: &DumpArguments, options: &DumpOptions, path: &Path) -> Result<Done, Failure> {
    let mut file = DumpFile::create(path).map_err(|error| output_failure(&error))?;
    if arguments.output.show && file.is_direct() {
        let sentence = format!(
            "{} is a pipe or a device, which --show cannot read back; choose a file with -o FILE",
            path.display()
        );
        return Err(Failure::Failed(sentence));
    }
    let parent = file.path().parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new(".")).to_path_buf();
    let sink = if file.is_direct() {
        let is_prompt = fs::metadata(path).is_ok_and(|found| takes_bytes_promptly(&found));
        Sink { output: &mut file, is_prompt, directory: None }
    } else {
        Sink { output: &mut file, is_prompt: true, directory: Some(&directory) }
    };
    let done = dump_to(arguments, options, sink)?;
    file.commit().map_err(|error| output_failure(&error))?;
    Ok(done)
}

fn dump_to(arguments: &DumpArguments, options: &DumpOptions, sink: Sink<'_>) -> Result<Done, Failure> {
    let started = Instant::now();
    let compress = arguments.output.compress;
    // Nothing slow may happen while the process stands still.
    let (report, bytes) = if arguments.holds_the_process() && (compress || !sink.is_prompt) {
        through_a_spool(arguments, options, sink)?
    } else {
        capture(arguments, options, sink.output, compress)?
    };
    Ok(Done { report, bytes, wall: started.elapsed() })
}

/// Writes to a temporary file first, and compresses or hands over when the process runs again.
fn through_a_spool(
    arguments: &DumpArguments,
    options: &DumpOptions,
    sink: Sink<'_>,
) -> Result<(DumpReport, u64), Failure> {
    let spool = match sink.directory {
        Some(directory) => Spool::create_in(directory),
        None => Spool::create(),
    };
    let mut spool = spool.map_err(|error| {
        let sentence = format!(
            "cannot create the temporary file in which the dump waits until the process runs again: {error}; use \
             --cow, which needs none, or set TMPDIR"
        );
        Failure::Failed(sentence)
    })?;
    let (report, size) = capture(arguments, options, &mut spool, false)?;
    let doing = if arguments.output.compress { "compressing" } else { "handing over" };
    let packed = spool.finish().and_then(|mut file| {
        let packer = Packer::new(sink.output, arguments.output.compress)?;
        let mut writer = ProgressWriter::new(packer, doing, Some(size));
        let copied = io::copy(&mut file, &mut writer);
        let packer = writer.finish();
        copied.and_then(|_| packer.finish())
    });
    let bytes = packed.map_err(|source| dump_failure(&Error::Output { source }))?;
    Ok((report, bytes))
}

/// Captures the process and writes the dump. Returns also the number of bytes that reached `output`.
fn capture(
    arguments: &DumpArguments,
    options: &DumpOptions,
    output: &mut dyn Write,
    compress: bool,
) -> Result<(DumpReport, u64), Failure> {
    let packer = Packer::new(output, compress).map_err(|source| dump_failure(&Error::Output { source }))?;
    let mut writer = ProgressWriter::new(packer, "writing the dump", expected_size(arguments));
    let result = dump_process(arguments.pid, options, &mut writer);
    let packer = writer.finish();
    let result = result.and_then(|report| {
        packer.finish().map(|bytes| (report, bytes)).map_err(|source| Error::Output { source })
    });
    result.map_err(|error| dump_failure(&error))
}

/// About how large the dump will be, when that is worth telling.
fn expected_size(arguments: &DumpArguments) -> Option<u64> {
    if arguments.memory.mode != MemoryName::Full || !progress::is_visible() {
        return None;
    }
    let smaps = fs::read(format!("/proc/{}/smaps", arguments.pid)).ok()?;
    Some(proc_maps::dumpable_bytes(&smaps)).filter(|size| *size > 0)
}

fn dump_failure(error: &Error) -> Failure {
    let Error::Output { source } = error else { return Failure::Failed(error.to_string()) };
    Failure::Failed(match source.kind() {
        io::ErrorKind::BrokenPipe => {
            "the reader of the dump went away before the dump was whole; see why it stopped reading".into()
        }
        _ => format!("{error}; {}", remedy(source)),
    })
}

fn output_failure(error: &OutputError) -> Failure {
    let way_out = match error {
        OutputError::Create { source, .. } | OutputError::Commit { source, .. } => remedy(source),
        _ => "choose a file with -o FILE",
    };
    Failure::Failed(format!("{error}; {way_out}"))
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space or choose another place with -o FILE"
        }
        io::ErrorKind::NotFound => "create its directory or choose another place with -o FILE",
        _ => "choose another place with -o FILE",
    }
}

fn print_summary(arguments: &DumpArguments, path: &Path, done: &Done) -> Result<(), Failure> {
    let report = &done.report;
    let shown = arguments.output.show.then(|| show::read(path));
    let (show, failure) = match shown {
        None => (Shown::NotWanted, None),
        Some(Ok(dump)) => (Shown::Dump(Box::new(dump)), None),
        Some(Err(failure)) => (Shown::Failed(None), Some(failure)),
    };
    let summary = Summary {
        path: path.to_string_lossy().into_owned(),
        bytes: done.bytes,
        uncompressed_bytes: arguments.output.compress.then_some(report.bytes),
        stopped_us: microseconds(report.stopped),
        wall_us: microseconds(done.wall),
        threads: report.threads,
        modules: report.modules,
        soft_errors: &report.soft_errors,
        show,
    };
    let line =
        text::json(&summary).map_err(|error| Failure::Failed(format!("no JSON could be made: {error}")))?;
    text::print(&(line + "\n")).map_err(|error| Failure::of_output(&error))?;
    failure.map_or(Ok(()), Err)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Says on standard error what was written where, and what is missing.
fn tell(arguments: &DumpArguments, done: &Done, place: &str) {
    let report = &done.report;
    for soft_error in &report.soft_errors {
        text::complain("warning", &soft_error.to_string());
    }
    let sentence = format!(
        "wrote {place}: {}{}, {}, {}; the process stood still for {}",
        text::counted(done.bytes, "byte"),
        if arguments.output.compress {
            format!(" (of {} before compressing)", text::grouped(report.bytes))
        } else {
            String::new()
        },
        text::counted(report.threads as u64, "thread"),
        text::counted(report.modules as u64, "module"),
        standstill(report.stopped),
    );
    text::complain("", &sentence);
}

fn standstill(time: Duration) -> String {
    match microseconds(time) {
        us @ 0..10_000 => format!("{} us", text::grouped(us)),
        us => format!("{} ms", text::grouped(us / 1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(failure: Failure) -> String {
        let Failure::Failed(sentence) = failure else { panic!("{failure:?}") };
        sentence
    }

    #[test]
    fn a_broken_pipe_and_a_full_disk_get_sentences_of_their_own() {
        let of = |kind: io::ErrorKind| sentence(dump_failure(&Error::Output { source: kind.into() }));
        assert!(of(io::ErrorKind::BrokenPipe).starts_with("the reader of the dump went away"));
        assert!(
            of(io::ErrorKind::StorageFull).ends_with("free some space or choose another place with -o FILE")
        );
        assert_eq!(sentence(dump_failure(&Error::NoSuchProcess { pid: 5 })), "there is no process 5");
    }

    #[test]
    fn a_bad_destination_names_the_way_out() {
        let error = DumpFile::create("/nowhere/at/all.dmp").unwrap_err();
        let sentence = sentence(output_failure(&error));
        assert!(sentence.starts_with("cannot create /nowhere/at/all.dmp: "), "{sentence}");
        assert!(
            sentence.ends_with("; create its directory or choose another place with -o FILE"),
            "{sentence}"
        );
    }

    #[test]
    fn standstill_is_told_in_a_fitting_unit() {
        assert_eq!(standstill(Duration::from_micros(412)), "412 us");
        assert_eq!(standstill(Duration::from_micros(9_999)), "9,999 us");
        assert_eq!(standstill(Duration::from_millis(1250)), "1,250 ms");
    }

    #[test]
    fn the_json_summary_has_the_documented_fields() {
        let mut summary = Summary {
            path: "x.dmp".into(),
            bytes: 1,
            uncompressed_bytes: None,
            stopped_us: 2,
            wall_us: 3,
            threads: 4,
            modules: 5,
            soft_errors: &[],
            show: Shown::NotWanted,
        };
        let expected = r#"{"path":"x.dmp","bytes":1,"stopped_us":2,"wall_us":3,"threads":4,"modules":5,"soft_errors":[]}"#;
        assert_eq!(text::json(&summary).unwrap(), expected);
        summary.show = Shown::Failed(None);
        assert!(text::json(&summary).unwrap().ends_with(r#","show":null}"#));
        summary.show = Shown::Dump(Box::default());
        assert!(text::json(&summary).unwrap().contains(r#","show":{"file":"#));
        summary.uncompressed_bytes = Some(9);
        assert!(
            text::json(&summary).unwrap().contains(r#","bytes":1,"uncompressed_bytes":9,"stopped_us":2"#)
        );
    }
}
