//! Where a dump goes: a file that is there as a whole or not at all, a pipe, a device, the standard output.

use crate::exit::Failure;
use crate::spool::Spool;
use minidump_writer::output::{DumpFile, OutputError};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, IoSlice, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

/// An open destination. Dropping it without [`Destination::commit`] leaves no file.
pub struct Destination {
    output: Output,
    is_prompt: bool,
    directory: Option<PathBuf>,
}

enum Output {
    File(DumpFile),
    Stdout(File),
}

/// Whether `path` means the standard output, or as an input the standard input.
pub fn is_dash(path: &Path) -> bool {
    path.as_os_str() == OsStr::new("-")
}

impl Destination {
    /// Opens `path`; `-` is the standard output.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if is_dash(path) {
            return Self::stdout();
        }
        let file = DumpFile::create(path).map_err(|error| output_failure(&error))?;
        if file.is_direct() {
            let is_prompt = fs::metadata(path).is_ok_and(|found| takes_bytes_promptly(&found));
            return Ok(Self { output: Output::File(file), is_prompt, directory: None });
        }
        let parent = file.path().parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = Some(parent.unwrap_or(Path::new(".")).to_path_buf());
        Ok(Self { output: Output::File(file), is_prompt: true, directory })
    }

    fn stdout() -> Result<Self, Failure> {
        if io::stdout().is_terminal() {
            let sentence = "the standard output is a terminal, and a dump is binary data; \
                            redirect it or choose a file with -o FILE";
            return Err(Failure::Failed(sentence.into()));
        }
        let output = unbuffered_stdout().map_err(|error| Failure::of_output(&error))?;
        let is_prompt = output.metadata().is_ok_and(|found| takes_bytes_promptly(&found));
        Ok(Self { output: Output::Stdout(output), is_prompt, directory: None })
    }

    /// Whether a disk or a device takes the bytes, rather than a program that may be slow to.
    pub fn is_prompt(&self) -> bool {
        self.is_prompt
    }

    /// Whether what is written cannot be read back.
    pub fn is_direct(&self) -> bool {
        self.directory.is_none()
    }

    /// A temporary file for a dump that waits for its way to here: beside it, where there is as much space.
    pub fn spool(&self) -> io::Result<Spool> {
        self.directory.as_deref().map_or_else(Spool::create, Spool::create_in)
    }

    /// Puts the complete file under its name.
    pub fn commit(self) -> Result<(), Failure> {
        match self.output {
            Output::File(file) => file.commit().map_err(|error| output_failure(&error)),
            Output::Stdout(_) => Ok(()),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.output {
            Output::File(file) => file.write(bytes),
            Output::Stdout(file) => file.write(bytes),
        }
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.output {
            Output::File(file) => file.write_vectored(pieces),
            Output::Stdout(file) => file.write_vectored(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.output {
            Output::File(file) => file.flush(),
            Output::Stdout(file) => file.flush(),
        }
    }
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

fn output_failure(error: &OutputError) -> Failure {
    let way_out = match error {
        OutputError::Create { source, .. } | OutputError::Commit { source, .. } => remedy(source),
        _ => "choose a file with -o FILE",
    };
    Failure::Failed(format!("{error}; {way_out}"))
}

/// A failure of writing the dump.
pub fn write_failure(error: &io::Error) -> Failure {
    Failure::Failed(match error.kind() {
        io::ErrorKind::BrokenPipe => {
            "the reader of the dump went away before the dump was whole; see why it stopped reading".into()
        }
        _ => format!("the dump could not be written: {error}; {}", remedy(error)),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(failure: Failure) -> String {
        let Failure::Failed(sentence) = failure else { panic!("{failure:?}") };
        sentence
    }

    #[test]
    fn a_broken_pipe_and_a_full_disk_get_sentences_of_their_own() {
        let of = |kind: io::ErrorKind| sentence(write_failure(&kind.into()));
        assert!(of(io::ErrorKind::BrokenPipe).starts_with("the reader of the dump went away"));
        let full = of(io::ErrorKind::StorageFull);
        assert!(full.starts_with("the dump could not be written: "), "{full}");
        assert!(full.ends_with("free some space or choose another place with -o FILE"), "{full}");
    }

    #[test]
    fn a_bad_destination_names_the_way_out() {
        let Err(failure) = Destination::open(Path::new("/nowhere/at/all.dmp")) else {
            panic!("there is no such place")
        };
        let sentence = sentence(failure);
        assert!(sentence.starts_with("cannot create /nowhere/at/all.dmp: "), "{sentence}");
        assert!(
            sentence.ends_with("; create its directory or choose another place with -o FILE"),
            "{sentence}"
        );
    }

    #[test]
    fn what_waits_for_a_file_waits_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.dmp");
        let mut destination = Destination::open(&path).unwrap();
        assert!(destination.is_prompt() && !destination.is_direct());
        destination.spool().unwrap().write_all(b"waiting").unwrap();
        destination.write_all(b"whole").unwrap();
        assert!(!path.exists());
        destination.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_takes_bytes_promptly_and_keeps_none() {
        let null = Destination::open(Path::new("/dev/null")).unwrap();
        assert!(null.is_prompt() && null.is_direct());
    }
}
