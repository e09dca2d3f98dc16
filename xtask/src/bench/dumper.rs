//! One dump by one program, measured from outside.

use super::{live::Target, os, sample::Sample};
use crate::shell::{Doing, Failure, Outcome};
use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Longest time that a dump may take, in seconds.
const PATIENCE: u32 = 60;

/// A program that dumps a process to a file.
#[derive(Debug, Clone)]
pub struct Dumper {
    name: &'static str,
    program: PathBuf,
    /// The command line, with `PID` and `OUT` to be replaced.
    arguments: &'static [&'static str],
    /// Must every thread of the target be in the dump?
    complete: bool,
}

impl Dumper {
    /// This repository's program.
    pub fn ours(program: PathBuf) -> Self {
        Self { name: "ours", program, arguments: &["dump", "PID", "-o", "OUT", "--json"], complete: true }
    }

    /// The driver for the published crate.
    pub fn peer(program: PathBuf) -> Self {
        Self { name: "peer", program, arguments: &["PID", "OUT"], complete: false }
    }

    /// Dumps the target into `folder`, looks at the dump, and deletes it.
    pub fn dump(&self, target: &mut Target, folder: &Path) -> Outcome<Sample> {
        let path = folder.join(format!("{}.dmp", self.name));
        target.start_sampling()?;
        let run = self.start(target.pid(), &path, folder);
        let gaps = target.stop_sampling()?;
        let (usage, wall, said) = run?;
        let (bytes, threads) = look_at(&path).map_err(|why| self.failed(&why))?;
        fs::remove_file(&path).doing(format_args!("could not delete {}", path.display()))?;
        if self.complete && usize::try_from(threads).ok() != Some(target.threads) {
            return Err(self.failed(&format!("{threads} of {} threads are in the dump", target.threads)));
        }
        Ok(Sample {
            standstill: gaps.largest,
            stopped_in_all: gaps.sum.max(gaps.largest),
            wall,
            cpu: usage.cpu,
            peak_rss: usage.peak_rss,
            bytes,
            threads,
            said,
        })
    }

    fn start(&self, pid: u32, path: &Path, folder: &Path) -> Outcome<(os::Usage, Duration, String)> {
        let mut command = Command::new(&self.program);
        for argument in self.arguments {
            match *argument {
                "PID" => command.arg(pid.to_string()),
                "OUT" => command.arg(path),
                other => command.arg(other),
            };
        }
        run(command, self.name, folder)
    }

    fn failed(&self, why: &str) -> Failure {
        format!("the dump by '{}' failed: {why}", self.name).into()
    }
}

/// Runs a dumper to its end, away from the sampler's processor. What it complains of goes to a file in `folder`.
pub fn run(mut command: Command, name: &str, folder: &Path) -> Outcome<(os::Usage, Duration, String)> {
    let complaints = folder.join(format!("{name}.stderr"));
    let stderr =
        File::create(&complaints).doing(format_args!("could not create {}", complaints.display()))?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    os::prepare_dumper(&mut command, os::DUMPER_PRIORITY, PATIENCE);

    let start = Instant::now();
    let program = command.get_program().to_owned();
    let mut child = command.spawn().doing(format_args!("could not start {}", program.display()))?;
    let mut said = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut said).doing("could not read what the dumper prints")?;
    }
    let usage = os::wait(child).doing("could not wait for the dumper")?;
    let wall = start.elapsed();
    if usage.success {
        return Ok((usage, wall, said.trim().to_owned()));
    }
    let why = fs::read_to_string(&complaints).unwrap_or_default();
    let why = why.trim();
    Err(match usage.signal {
        0 => format!("the dump by '{name}' failed: {why}"),
        signal => format!(
            "the dump by '{name}' failed: ended by signal {signal} after {} ms; {why}",
            wall.as_millis()
        ),
    }
    .into())
}

/// Size in bytes and number of threads of a minidump. Reads only what it needs: what the harness holds in memory counts
/// as memory of the dumpers it forks.
fn look_at(path: &Path) -> Result<(u64, u32), String> {
    let no_dump = |error| format!("no dump at {}: {error}", path.display());
    let dump = File::open(path).map_err(no_dump)?;
    let bytes = dump.metadata().map_err(no_dump)?.len();
    let threads = thread_count(&dump).map_err(|error| format!("the dump cannot be read: {error}"))?;
    Ok((bytes, threads.ok_or("the file is not a minidump with a thread list")?))
}

/// Reads the `ThreadListStream` (3) of a little-endian minidump: the header holds the number of streams at 8 and the RVA
/// of the directory at 12, a directory entry is type, size and RVA, and the list starts with its length
/// (`MINIDUMP_HEADER`, `MINIDUMP_DIRECTORY`, `MINIDUMP_THREAD_LIST` in `minidumpapiset.h`).
fn thread_count(dump: &File) -> io::Result<Option<u32>> {
    const SIGNATURE: u32 = u32::from_le_bytes(*b"MDMP");
    const THREAD_LIST: u32 = 3;
    if number(dump, 0)? != SIGNATURE {
        return Ok(None);
    }
    let streams = u64::from(number(dump, 8)?);
    let directory = u64::from(number(dump, 12)?);
    for index in 0..streams {
        let entry = directory + index * 12;
        if number(dump, entry)? == THREAD_LIST {
            return number(dump, number(dump, entry + 8)?.into()).map(Some);
        }
    }
    Ok(None)
}

fn number(dump: &File, at: u64) -> io::Result<u32> {
    let mut bytes = [0; 4];
    dump.read_exact_at(&mut bytes, at)?;
    Ok(u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::thread_count;
    use std::{fs::File, io, io::Write};

    /// A file with these words behind the signature.
    fn dump(words: &[u32]) -> File {
        file(
            &[b"MDMP".as_slice(), &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>()]
                .concat(),
        )
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn the_thread_count_is_found_behind_other_streams() {
        // Version, two streams, directory at 16; SystemInfo (7) and ThreadList (3) with its list at 40.
        let file = dump(&[0xa793, 2, 16, 7, 4, 40, 3, 4, 40, 99]);
        assert_eq!(thread_count(&file).unwrap(), Some(99));
    }

    #[test]
    fn a_file_without_a_thread_list_has_no_thread_count() {
        assert_eq!(thread_count(&file(b"ELF what is this")).unwrap(), None);
        assert_eq!(thread_count(&dump(&[0xa793, 1, 16, 7, 4, 28, 5])).unwrap(), None);
    }

    #[test]
    fn a_file_that_is_cut_off_is_an_error() {
        for file in [
            file(b""),
            dump(&[0xa793]),
            dump(&[0xa793, u32::MAX, 16, 4, 4, 16]),
            dump(&[0xa793, 1, 16, 3, 4, 4000]),
        ] {
            assert_eq!(thread_count(&file).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
