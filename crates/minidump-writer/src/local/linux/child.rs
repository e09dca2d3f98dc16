//! The helper's part: traces its parent, captures it, and writes the dump into the socket.
//!
//! What runs here may allocate, and nothing else that another thread of the parent can have been in the middle of.

use super::protocol::{self, Ending, GRANTED, Kind, MOST_DATA};
use super::watchdog::Watchdog;
use super::{descriptors, prctl, spool};
use crate::formats::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use crate::local::UserStream;
use crate::{DumpOptions, DumpReport, Error, Pid, dump_process_with};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::time::Duration;

/// What the helper is to do. Made before the fork.
pub struct Job<'a> {
    /// The process to dump, which is the parent.
    pub pid: Pid,
    /// How.
    pub options: &'a DumpOptions,
    /// The application's own streams.
    pub streams: &'a [UserStream<'a>],
    /// Longest that the capture may take.
    pub limit: Duration,
    /// Where the dump may wait until the parent, held still, can take it. `None` when it is not held.
    pub spool: Option<Vec<PathBuf>>,
}

/// Does the job and says how it went. Errors have nobody to be told to: without the socket there is no parent.
pub fn run(job: &Job<'_>, socket: UnixStream) {
    if !prctl::die_with_parent() {
        return;
    }
    let Ok(watchdog) = Watchdog::start(job.limit) else {
        let reason = "the helper process was given no timer, and without one it could hang for ever";
        let _ = say(&mut &socket, &Ending::Failed(reason.into()));
        return;
    };
    let Ok(mut socket) = descriptors::close_all_but(socket) else { return };
    prctl::become_undumpable();
    let ending = capture(job, &mut socket, &watchdog);
    watchdog.stop();
    let _ = say(&mut socket, &ending);
}

fn say(socket: &mut impl Write, ending: &Ending) -> io::Result<()> {
    protocol::send(socket, Kind::Ending, &serde_json::to_vec(ending)?)
}

fn capture(job: &Job<'_>, socket: &mut UnixStream, watchdog: &Watchdog) -> Ending {
    if parent_id() != job.pid.unsigned_abs() {
        let reason = "the children of this process are born into another pid namespace, from where they cannot \
                      trace it; dump it from outside, with `dump_process`";
        return Ending::Failed(reason.into());
    }
    if fs::read_link("/proc/self").ok() != Some(std::process::id().to_string().into()) {
        let reason =
            "/proc is not mounted, or is that of another pid namespace; mount it where this process sees it";
        return Ending::Failed(reason.into());
    }
    if ask_permission(job.pid, socket).is_err() {
        return Ending::Failed("the helper process got no answer".into());
    }
    let sections: Vec<ReadyMade<'_>> = job.streams.iter().map(ReadyMade).collect();
    let sections: Vec<&dyn SectionWriter> = sections.iter().map(|section| section as _).collect();
    let data = DataWriter { socket, watchdog, capturing: true };
    let mut output = BufWriter::with_capacity(MOST_DATA, data);
    match take(job, &sections, &mut output) {
        Ok(report) => Ending::Done(report),
        Err(Error::PermissionDenied { reason, .. }) => Ending::Denied(reason),
        Err(Error::LocalDump { reason }) => Ending::Failed(reason),
        Err(Error::AlreadyTraced { tracer, name, .. }) => Ending::Traced { tracer, name },
        Err(error) => Ending::Failed(error.to_string()),
    }
}

/// Takes the dump, by way of a file where the parent cannot read yet.
fn take(
    job: &Job<'_>,
    sections: &[&dyn SectionWriter],
    output: &mut BufWriter<DataWriter<'_>>,
) -> Result<DumpReport, Error> {
    let Some(places) = &job.spool else {
        return dump_process_with(job.pid, job.options, sections, output);
    };
    let mut spool = spool::open(places).map_err(|error| Error::LocalDump {
        reason: format!("there is no directory for a file of all its memory; set TMPDIR to one: {error}"),
    })?;
    let report = dump_process_with(job.pid, job.options, sections, &mut spool)?;
    spool.rewind().map_err(|source| Error::Output { source })?;
    io::copy(&mut spool, output).map_err(|source| Error::Output { source })?;
    output.flush().map_err(|source| Error::Output { source })?;
    Ok(report)
}

/// Where the kernel refuses what a tracer may do, has the parent name this process to Yama.
fn ask_permission(pid: Pid, socket: &mut UnixStream) -> io::Result<()> {
    let probe = File::open(format!("/proc/{pid}/mem"));
    if !probe.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        return Ok(());
    }
    protocol::send(socket, Kind::Permission, &[])?;
    let mut answer = [0];
    socket.read_exact(&mut answer)?;
    if answer == [GRANTED] { Ok(()) } else { Err(protocol::malformed()) }
}

/// A stream whose bytes were made before the fork.
struct ReadyMade<'a>(&'a UserStream<'a>);

impl SectionWriter for ReadyMade<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let location = buffer.write_bytes(self.0.bytes)?;
        Ok(MDRawDirectory { stream_type: self.0.stream_type, location })
    }

    fn section_type(&self) -> u32 {
        self.0.stream_type
    }

    fn size_hint(&self) -> usize {
        self.0.bytes.len()
    }
}

/// Sends the dump in frames.
struct DataWriter<'a> {
    socket: &'a mut UnixStream,
    watchdog: &'a Watchdog,
    capturing: bool,
}

impl Write for DataWriter<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // The parent runs again. From here on it is its output that decides how long this takes, and it watches over
        // this process itself.
        if std::mem::take(&mut self.capturing) {
            self.watchdog.stop();
        }
        let part = buffer.get(..MOST_DATA).unwrap_or(buffer);
        protocol::send(self.socket, Kind::Data, part)?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
