//! One dump by one program, measured from outside.

use super::{
    dump_file,
    live::Target,
    os,
    results::{Calls, Sample},
    strace,
};
use crate::shell::{Doing, Failure, Outcome};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// Longest time that a dump may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that dumps a process to a file.
#[derive(Debug, Clone)]
pub struct Dumper {
    /// Its name in the results.
    pub name: &'static str,
    pub program: PathBuf,
    /// The command line, with `PID` and `OUT` to be replaced.
    pub arguments: &'static [&'static str],
    /// What the program appends to the name of the file it is given; `PID` stands for the process id.
    pub suffix: &'static str,
    pub leaves: Leaves,
    /// Rounds in which it takes part.
    pub rounds: usize,
    /// Does it run below strace? gdb tries out on a child how the kernel traces, and hangs when the child is traced.
    pub countable: bool,
}

/// What is there after a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// A minidump. `complete` says that every thread of the target must be in it.
    Minidump { complete: bool },
    /// A file of another format.
    File,
    /// No file; what the program prints tells how many threads it saw.
    Nothing,
}

impl Dumper {
    /// Dumps the target into `folder`, looks at the dump, and deletes it.
    pub fn dump(&self, target: &mut Target, folder: &Path) -> Outcome<Sample> {
        let path = folder.join("bench.dump");
        let command = self.command(target.pid(), &path);
        target.start_sampling()?;
        let run = run(command, self.name, folder);
        let gaps = target.stop_sampling()?;
        let (usage, wall, said) = run?;
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        let (bytes, threads) = self.look_at(&path, target, &said)?;
        Ok(Sample {
            standstill_us: micros(gaps.largest),
            stopped_in_all_us: micros(gaps.sum.max(gaps.largest)),
            longest_stop_us: said.get("stopped_us").and_then(Value::as_u64),
            wall_us: micros(wall),
            cpu_us: micros(usage.cpu),
            peak_rss_kib: usage.peak_rss >> 10,
            bytes,
            threads,
            said,
        })
    }

    /// Dumps the target once more below strace.
    pub fn count_calls(&self, target: &Target, folder: &Path, strace: &Path) -> Outcome<Calls> {
        let (path, log) = (folder.join("bench.dump"), folder.join("strace.log"));
        run(strace::wrap(strace, &self.command(target.pid(), &path), &log), self.name, folder)?;
        if self.leaves != Leaves::Nothing {
            self.delete(&path, target.pid())?;
        }
        let targets = target.thread_ids()?;
        let calls = File::open(&log).and_then(|log| strace::count(BufReader::new(log), &targets));
        calls.doing(format_args!("could not read {}", log.display()))
    }

    fn command(&self, pid: u32, path: &Path) -> Command {
        let mut command = Command::new(&self.program);
        for argument in self.arguments {
            match *argument {
                "PID" => command.arg(pid.to_string()),
                "OUT" => command.arg(path),
                other => command.arg(other),
            };
        }
        command
    }

    /// Bytes and threads of the dump, which is deleted.
    fn look_at(&self, path: &Path, target: &Target, said: &Value) -> Outcome<(u64, Option<u32>)> {
        if self.leaves == Leaves::Nothing {
            let threads = said.get("threads").and_then(Value::as_u64).and_then(|count| count.try_into().ok());
            self.check_threads(threads, target)?;
            return Ok((0, threads));
        }
        let file = self.file(path, target.pid());
        let bytes = dump_file::size(&file).map_err(|why| self.failed(&why))?;
        let threads = match self.leaves {
            Leaves::Minidump { .. } => Some(dump_file::threads(&file).map_err(|why| self.failed(&why))?),
            Leaves::File | Leaves::Nothing => None,
        };
        self.delete(path, target.pid())?;
        if self.leaves == (Leaves::Minidump { complete: true }) {
            self.check_threads(threads, target)?;
        }
        Ok((bytes, threads))
    }

    fn check_threads(&self, threads: Option<u32>, target: &Target) -> Outcome {
        let seen = threads.unwrap_or_default();
        if usize::try_from(seen).ok() == Some(target.threads) {
            return Ok(());
        }
        Err(self.failed(&format!("it has {seen} of {} threads", target.threads)))
    }

    fn file(&self, path: &Path, pid: u32) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(self.suffix.replace("PID", &pid.to_string()));
        name.into()
    }

    fn delete(&self, path: &Path, pid: u32) -> Outcome {
        let file = self.file(path, pid);
        fs::remove_file(&file).doing(format_args!("could not delete {}", file.display()))
    }

    fn failed(&self, why: &str) -> Failure {
        format!("the dump by '{}' failed: {why}", self.name).into()
    }
}

/// Runs a dumper to its end, away from the sampler's processor. What it complains of goes to a file in `folder`.
fn run(mut command: Command, name: &str, folder: &Path) -> Outcome<(os::Usage, Duration, String)> {
    let complaints = folder.join("stderr.txt");
    let stderr =
        File::create(&complaints).doing(format_args!("could not create {}", complaints.display()))?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    os::prepare_dumper(&mut command, os::DUMPER_PRIORITY);

    let start = Instant::now();
    let program = command.get_program().to_owned();
    let mut child = command.spawn().doing(format_args!("could not start {}", program.display()))?;
    let said = read_in_time(&mut child)?;
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

/// What a dumper prints until it, and all it has started, have closed their output. After [`PATIENCE`] they are killed.
fn read_in_time(child: &mut Child) -> Outcome<String> {
    let leader = child.id();
    let (done, waits) = channel::<()>();
    let guard = thread::spawn(move || {
        if waits.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            os::kill_group(leader);
        }
    });
    let mut said = String::new();
    let read = child.stdout.take().map_or(Ok(0), |mut output| output.read_to_string(&mut said));
    drop(done);
    // It only waits and kills: nothing in it can panic.
    let _ = guard.join();
    read.doing("could not read what the dumper prints")?;
    Ok(said)
}

/// Whole microseconds.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
