//! `run`: runs a command and keeps a dump of each of its processes that crashes.

#[cfg(not(windows))]
#[path = "run/linux.rs"]
mod system;
#[cfg(windows)]
#[path = "run/windows.rs"]
mod system;

use crate::args::RunArguments;
use crate::exit::{Code, Failure};
use crate::{directory, options, show, text};
use minidump_handler::store::{Limits, Metadata, Store, StoreError};
use minidump_handler::supervisor::{Crashed, SuperviseError, supervise};
use minidump_writer::{DumpOptions, Error};
use std::io;
use std::path::{Path, PathBuf};

/// Exit codes of shells for a command that cannot be run (POSIX.1-2017, Shell Command Language 2.8.2).
const NOT_FOUND: Code = 127;
const NOT_EXECUTABLE: Code = 126;
/// So many crashes are shown with their stacks.
const MOST_SHOWN: usize = 4;

/// Why a crash has no dump.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Dump(#[from] Error),
}

/// Runs the command. Returns the exit code of this program, which is that of the command.
pub fn run(arguments: &RunArguments) -> Result<Code, Failure> {
    let options = options::of_run(arguments);
    let directory = arguments.dir.clone().map_or_else(directory::usual, Ok)?;
    let store = Store::open(directory, Limits::SHARED)
        .map_err(|error| Failure::Failed(format!("{error}; choose another directory with -d DIR")))?;
    if let Err(error) = store.prune() {
        text::complain("minidump-writer", &format!("the dump directory could not be tidied up: {error}"));
    }
    let mut kept = Vec::new();
    let ended = supervise(&arguments.command, &mut |crashed| {
        let told = keep(crashed, &options, &store);
        if !arguments.quiet {
            tell(crashed, &told);
        }
        kept.extend(told.ok());
    });
    let status = match ended {
        Ok(status) => status,
        Err(error) => return Err(failure(&error)),
    };
    if !arguments.quiet {
        kept.iter().take(MOST_SHOWN).for_each(|path| show_crash(path));
    }
    Ok(system::end(status))
}

/// Dumps the process into the store. Returns where the dump is.
fn keep(crashed: &Crashed<'_>, options: &DumpOptions, store: &Store) -> Result<PathBuf, Refusal> {
    let mut dump = store.begin(&crashed.name())?;
    let mut metadata = metadata(crashed, options);
    dump.announce(&metadata);
    match crashed.dump(options, &mut dump) {
        Ok(report) => report.soft_errors.iter().for_each(|error| metadata.note(error)),
        // What there is of it begins with the crash.
        Err(Error::Output { .. }) if dump.written() > 0 => return Ok(dump.commit_partial(&metadata)?.dump),
        Err(error) => return Err(error.into()),
    }
    Ok(dump.commit(&metadata)?.dump)
}

fn metadata(crashed: &Crashed<'_>, options: &DumpOptions) -> Metadata {
    let death = crashed.death();
    let mut metadata = Metadata::now(crashed.name());
    metadata.executable =
        crashed.executable().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    metadata.pid = u32::try_from(death.pid).ok();
    metadata.tid = u32::try_from(death.tid).ok();
    system::describe(death, &mut metadata);
    metadata.source = "supervisor".into();
    metadata.annotations = options.annotations.iter().cloned().collect();
    metadata
}

fn tell(crashed: &Crashed<'_>, kept: &Result<PathBuf, Refusal>) {
    let death = crashed.death();
    let (name, pid, tid) = (crashed.name(), death.pid, death.tid);
    let thread = if system::is_in_first_thread(death) { String::new() } else { format!(" in thread {tid}") };
    let crash = format!("{name} (process {pid}) is killed by {}{thread}", system::reason(death));
    match kept {
        Ok(path) => text::complain("minidump-writer", &format!("{crash}; dump: {}", path.display())),
        Err(refusal) => {
            text::complain("minidump-writer", &format!("{crash}; there is no dump of it: {refusal}"));
        }
    }
}

/// Shows the crashed thread of a dump on standard error.
fn show_crash(path: &Path) {
    match show::crash_of(path) {
        Ok(page) => eprint!("{page}"),
        Err(failure) => text::complain("minidump-writer", &format!("{failure:?}")),
    }
}

fn failure(error: &SuperviseError) -> Failure {
    let (code, way_out) = match error {
        SuperviseError::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            (NOT_FOUND, "check its name and PATH")
        }
        SuperviseError::Start { .. } => (NOT_EXECUTABLE, "check that it is a program that this user may run"),
        _ => {
            (crate::exit::FAILED, "run it where a parent may trace its children, or dump it with `dump PID`")
        }
    };
    Failure::OfCommand { code, sentence: format!("{error}; {way_out}") }
}
