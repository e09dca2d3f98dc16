//! From a core that arrives to a dump, and the core on to whom it also belongs.

use super::crash::Crash;
use super::pass_on;
use super::place::Place;
use super::sysctl::{CORE_PIPE_LIMIT, Sysctl};
use crate::spool::{Budget, Spool};
use minidump_writer::convert::{self, ConvertError, DyingProcess, Input};
use minidump_writer::{DumpOptions, Format};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::path::Path;

/// Where a core waits when there is no room beside the dumps: on a disk, in memory.
const OTHER_PLACES: [&str; 2] = ["/var/tmp", "/dev/shm"];
/// A core of which all was read.
const ALL: Budget = Budget { size: u64::MAX, stored: u64::MAX };

/// A core that arrives: what was read of it, and where the rest comes from.
pub struct Core {
    /// What was read, without a name.
    pub read: File,
    /// The rest.
    pub rest: File,
}

/// Whether the crashed process stays until its core has been taken care of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Yes,
    No,
}

/// Whether processes stay until the reader of their core is done, as far as `core_pipe_limit` decides that.
pub fn waits_for_helpers(sysctl: &Sysctl) -> bool {
    sysctl.get(CORE_PIPE_LIMIT).is_ok_and(|limit| limit != "0")
}

/// Writes the dump of one crash, whose core comes on the standard input, into `directory`, then hands the core on.
/// Returns what failed.
pub fn run(sysctl: &Sysctl, directory: &Path, crash: &Crash, pass_to: Option<&str>) -> Vec<String> {
    let input = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(input) => File::from(input),
        Err(error) => return vec![format!("there is no core: {error}")],
    };
    // Looked at first: a process that nobody holds is gone once its core is read.
    let process = DyingProcess::examine(crash.pid).ok();
    let held = if process.is_some() && waits_for_helpers(sysctl) { Held::Yes } else { Held::No };
    match receive(directory, input, held) {
        Ok(mut core) => finish(directory, crash, process, &mut core, pass_to),
        Err(failure) => vec![failure],
    }
}

/// Writes the dump of `core`, then hands it on. Returns what failed; neither fails for the other.
pub fn finish(
    directory: &Path,
    crash: &Crash,
    process: Option<DyingProcess>,
    core: &mut Core,
    pass_to: Option<&str>,
) -> Vec<String> {
    let dumped = dump(directory, crash, process, core);
    let passed = pass_to.map_or(Ok(()), |pattern| pass_on::run(pattern, crash, core));
    [dumped, passed].into_iter().filter_map(Result::err).collect()
}

/// Reads what the dump needs of the core. Of a process that is held these are the notes; its memory stays where it is.
///
/// # Errors
/// When there is no place to keep it, in a sentence.
pub fn receive(directory: &Path, mut input: File, held: Held) -> Result<Core, String> {
    let failed = |error: io::Error| format!("the core cannot be kept: {error}");
    let mut spool = spool(directory).map_err(failed)?;
    if held == Held::No || !convert::copy_head(&mut input, &mut spool).map_err(failed)? {
        spool.fill(&mut input, &ALL).map_err(failed)?;
    }
    Ok(Core { read: spool.finish().map_err(failed)?, rest: input })
}

fn spool(directory: &Path) -> io::Result<Spool> {
    let beside = Spool::create_in(directory);
    OTHER_PLACES.iter().fold(beside, |found, place| found.or_else(|_| Spool::create_in(Path::new(place))))
}

/// Writes the dump, first with what /proc tells, and if that comes to nothing from the core alone.
fn dump(
    directory: &Path,
    crash: &Crash,
    process: Option<DyingProcess>,
    core: &mut Core,
) -> Result<(), String> {
    if let Some(process) = process {
        match write(directory, crash, Some(process), core) {
            Err(NoDump::Core(_)) => {}
            done => return done.map_err(NoDump::told),
        }
        let rest = core.read.seek(SeekFrom::End(0)).and_then(|_| io::copy(&mut core.rest, &mut core.read));
        rest.map_err(|error| format!("the core cannot be kept: {error}"))?;
    }
    write(directory, crash, None, core).map_err(NoDump::told)
}

/// Why there is no dump.
enum NoDump {
    /// The core is no good.
    Core(String),
    /// There is no place for it.
    Place(String),
}

impl NoDump {
    fn told(self) -> String {
        let (Self::Core(why) | Self::Place(why)) = self;
        why
    }
}

fn write(directory: &Path, crash: &Crash, process: Option<DyingProcess>, core: &Core) -> Result<(), NoDump> {
    let input = Input::Opened(&core.read);
    let mut place = Place::open(directory, crash).map_err(NoDump::Place)?;
    let mut options = DumpOptions::default();
    let written = match process {
        Some(process) => {
            options.blamed_thread = u32::try_from(crash.tid).ok();
            convert::convert_beside(input, process, &options, &mut place)
        }
        None => convert::convert(input, Some(Format::Minidump), &options, &mut place),
    };
    match written {
        Ok(report) => place.commit(&report).map_err(NoDump::Place),
        Err(ConvertError::Output { source }) => {
            let kept = if place.keep_part() { "the dump is cut off" } else { "there is no dump" };
            Err(NoDump::Place(format!("{kept}: {source}")))
        }
        Err(error) => Err(NoDump::Core(format!("there is no dump: {error}"))),
    }
}
