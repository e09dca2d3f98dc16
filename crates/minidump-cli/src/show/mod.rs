//! `show`: reads a minidump and tells what it holds.

mod annotations;
mod apple;
mod core;
mod crash;
mod executor;
mod fold;
mod guard;
mod holes;
mod model;
mod other_stack;
mod quiet;
mod raw_dump;
mod read;
pub mod reason;
mod registers;
mod render;
mod symbols;
mod system_call;
#[cfg(test)]
mod testing;
mod time;
mod unwind;
mod windows;

pub use model::Dump;

use crate::args::ShowArguments;
use crate::converter::Unconverted;
use crate::exit::Failure;
use crate::text;
use crate::unpacking::{self, UnpackError};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Why a dump cannot be shown.
#[derive(Debug, thiserror::Error)]
enum ShowError {
    #[error("cannot open {}: {source}; check the name and the permissions", .path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a regular file; copy the dump into one first", .path.display())]
    NotAFile { path: PathBuf },
    #[error("{} is empty; the dump was never written, take it again", .path.display())]
    Empty { path: PathBuf },
    #[error("{} is not a minidump, nor an ELF or Mach-O core; give a file that starts with MDMP", .path.display())]
    NotADump { path: PathBuf },
    #[error("{} is damaged: {reason}; copy or take it again", .path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{} cannot be shown: {reason}", .path.display())]
    Convert { path: PathBuf, reason: String },
    #[error("{} {source}", .path.display())]
    Unpack {
        path: PathBuf,
        #[source]
        source: UnpackError,
    },
}

/// Runs the command.
pub fn run(arguments: &ShowArguments) -> Result<(), Failure> {
    print(&arguments.file, arguments.json)
}

/// Reads the dump at `path` and prints it.
pub fn print(path: &Path, as_json: bool) -> Result<(), Failure> {
    let dump = read(path)?;
    let output = if as_json {
        text::json(&dump).map(|line| line + "\n").map_err(|error| Failure::Failed(error.to_string()))?
    } else {
        render::render(&dump)
    };
    text::print(&output).map_err(|error| Failure::of_output(&error))
}

/// Why the process of the dump at `path` crashed, and the stack of the thread that did, for people.
#[cfg_attr(
    not(any(windows, all(target_os = "linux", target_arch = "x86_64"))),
    expect(dead_code, reason = "of `run`")
)]
pub fn crash_of(path: &Path) -> Result<String, Failure> {
    Ok(render::render_crash(&read(path)?))
}

/// Reads the dump at `path`.
pub fn read(path: &Path) -> Result<Dump, Failure> {
    read_guarded(path).map_err(|error| Failure::Failed(error.to_string()))
}

/// Reads the dump and turns a panic of one of the foreign parsers into an error. A dump may come from anywhere.
fn read_guarded(path: &Path) -> Result<Dump, ShowError> {
    let (file, bytes) = open(path)?;
    let unpack = |source| ShowError::Unpack { path: path.to_path_buf(), source };
    let (file, uncompressed_bytes) = unpacking::unpacked(file).map_err(unpack)?;
    if uncompressed_bytes == Some(0) {
        return Err(ShowError::Empty { path: path.to_path_buf() });
    }
    let read = quiet::catch(|| read_any(path, file));
    let dump = read.unwrap_or_else(|| {
        let reason = "its contents contradict each other".into();
        Err(ShowError::Damaged { path: path.to_path_buf(), reason })
    });
    dump.map(|dump| Dump { bytes, uncompressed_bytes, ..dump })
}

/// Reads a dump of any format.
fn read_any(path: &Path, file: File) -> Result<Dump, ShowError> {
    let failed = |source| ShowError::Open { path: path.to_path_buf(), source };
    let format = core::format(&file).map_err(failed)?;
    let file = match format {
        model::Format::Minidump => file,
        _ => core::as_minidump(&file).map_err(|error| unconverted(path, error))?,
    };
    let size = file.metadata().map_err(failed)?.len();
    let dump = read::read(path, &file, size)?;
    Ok(Dump { format, ..dump })
}

fn unconverted(path: &Path, error: Unconverted) -> ShowError {
    let path = path.to_path_buf();
    match error {
        Unconverted::Input(reason) => ShowError::Convert { path, reason },
        Unconverted::Output(source) => ShowError::Unpack { path, source: UnpackError::Spool(source) },
    }
}

/// Opens a regular file that is not empty, without ever waiting for one that is something else.
fn open(path: &Path) -> Result<(File, u64), ShowError> {
    let failed = |source| ShowError::Open { path: path.to_path_buf(), source };
    let file = symbols::open_without_waiting(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(ShowError::NotAFile { path: path.to_path_buf() });
    }
    if found.len() == 0 {
        return Err(ShowError::Empty { path: path.to_path_buf() });
    }
    Ok((file, found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Address, Trust};
    use testing::{DEEP_CALLER, SyntheticDump, dump_without_files};

    fn read_bytes(bytes: &[u8]) -> Result<Dump, ShowError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read_guarded(file.path())
    }

    #[test]
    fn every_part_of_a_dump_is_read() {
        let dump = read_bytes(&dump_without_files()).unwrap();
        assert_eq!(dump.warnings, [""; 0]);
        assert_eq!(dump.crash.thread, Some(11));
        assert!(!dump.crash.crashed);
        assert_eq!((dump.system.os.as_str(), dump.system.cpu.as_str()), ("Linux", "amd64"));
        assert_eq!(dump.system.distribution.as_deref(), Some("Some Linux 1"));
        assert_eq!(dump.process.pid, Some(4711));
        let arguments = dump.process.command_line.unwrap();
        assert_eq!(arguments, ["app", "--evil\u{1b}[31m", ""]);
        let told: Vec<_> =
            dump.threads.iter().map(|thread| (thread.id, thread.name.as_deref(), thread.blamed)).collect();
        assert_eq!(told, [(11, Some("evil\u{1b}]0;x\u{7}"), true), (10, Some("main"), false)]);
        assert_eq!(dump.modules.len(), 1);
        assert_eq!(dump.modules[0].base, Address(SyntheticDump::BASE));
        assert_eq!(dump.modules[0].id.as_deref(), Some("0102030405060708090a0b0c0d0e0f1011121314"));
        assert_eq!(dump.modules[0].symbols, model::SymbolsFound::Missing);
        assert_eq!((dump.memory.ranges, dump.memory.bytes), (1, 4096));
        assert_eq!(dump.soft_errors, [serde_json::json!({"stage": "memory", "message": "gone\u{9b}"})]);
    }

    #[test]
    fn without_any_file_the_stack_is_scanned() {
        let dump = read_bytes(&dump_without_files()).unwrap();
        let frames: Vec<_> =
            dump.threads[0].frames.iter().map(|frame| (frame.instruction.0, frame.trust)).collect();
        assert_eq!(frames, [(SyntheticDump::BASE + 0x100, Trust::Context), (DEEP_CALLER - 1, Trust::Scan)]);
        assert_eq!(dump.threads[0].frames[0].module_offset, Some(Address(0x100)));
        assert_eq!(dump.threads[0].frames[0].function, None);
    }

    #[test]
    fn a_dump_cut_anywhere_is_an_error_or_a_dump_and_never_a_panic() {
        let whole = dump_without_files();
        for size in (0..whole.len()).step_by(7) {
            match read_bytes(&whole[..size]) {
                Ok(dump) => assert!(!dump.threads.is_empty()),
                Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
            }
        }
    }

    #[test]
    fn a_dump_with_any_word_destroyed_is_an_error_or_a_dump_and_never_a_panic() {
        let whole = dump_without_files();
        // The stack is last and holds nothing but addresses; its first words are enough.
        let values = [0u32, 1, 0x7fff_ffff, 0xffff_fff0, u32::MAX];
        for (at, value) in (0..whole.len().min(6000)).step_by(4).zip(values.iter().cycle()) {
            let mut bytes = whole.clone();
            let Some(word) = bytes.get_mut(at..at + 4) else { continue };
            word.copy_from_slice(&value.to_le_bytes());
            quiet::catch(|| read_bytes(&bytes)).expect("no panic outside the guarded part").ok();
        }
    }

    #[test]
    fn many_modules_with_one_huge_name_are_refused_and_not_expanded() {
        let error = read_bytes(&testing::dump_with_shared_huge_name()).unwrap_err().to_string();
        assert!(error.contains("names are longer"), "{error}");
    }
}
