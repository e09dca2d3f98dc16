//! One dump by the system's dumper, from the wait for its turn to the file.

use super::cause::Cause;
use super::dbghelp::{DbgHelp, UserStreams};
use super::errors::{Error, FailedCall, Subject};
use super::minidump_type::MinidumpType;
use super::own_thread::Place;
use super::process::Process;
use super::streams::{Stream, breakpad_info};
use super::turn::{BacktraceLock, Turn};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::time::{Duration, Instant};

/// How long a backtrace in another thread may take before the dump goes ahead.
const BACKTRACE_PATIENCE: Duration = Duration::from_secs(5);
/// Size of `MINIDUMP_HEADER` in bytes: no dump is smaller.
const HEADER_SIZE: u64 = 32;

/// What to dump, and where to.
pub struct Job {
    /// The process.
    pub process: Process,
    /// What the dump is to hold.
    pub minidump_type: MinidumpType,
    /// Why.
    pub cause: Cause,
    /// For whom, when it is a thread of this process.
    pub requester: Option<u32>,
    /// Streams besides those of the system.
    pub streams: Vec<Stream>,
    /// Takes the dump.
    pub destination: File,
    /// When it is too late.
    pub until: Instant,
}

impl Job {
    /// Takes the dump. One that fails leaves the destination empty, so that nobody takes a part of it for a dump.
    pub fn run(mut self, place: Place) -> Result<(), Error> {
        let _turn = Turn::take(self.until).ok_or_else(|| {
            io::Error::new(io::ErrorKind::TimedOut, "other dumps that dbghelp is writing took too long")
        })?;
        // What the file held before would be left behind a shorter dump.
        self.empty().map_err(|source| FailedCall::because("SetEndOfFile", Subject::Destination, source))?;
        let destination = self.destination.try_clone()?;
        let result = self.write(place).and_then(|()| check(&destination));
        if result.is_err() {
            let _ = destination.set_len(0).and_then(|()| (&destination).rewind());
        }
        result
    }

    fn empty(&mut self) -> io::Result<()> {
        self.destination.set_len(0)?;
        self.destination.rewind()
    }

    fn write(mut self, place: Place) -> Result<(), Error> {
        let dbghelp = DbgHelp::load()?;
        if let Some(requester) = self.requester {
            self.streams.push(breakpad_info(requester)?);
        }
        let streams = UserStreams::new(&self.streams);
        let left = self.until.saturating_duration_since(Instant::now());
        let _lock = BacktraceLock::take(BACKTRACE_PATIENCE.min(left));
        self.cause.tell(place, |exception| {
            // SAFETY: `tell` has pointers that are good until this returns. This thread has its turn.
            unsafe {
                dbghelp.write(&self.process, &self.destination, self.minidump_type, exception, &streams)
            }
        })??;
        Ok(())
    }
}

/// Whether there is what the system says that it wrote. Leaves the file's position behind it.
fn check(mut destination: &File) -> Result<(), Error> {
    let size = destination.seek(SeekFrom::End(0))?;
    if size < HEADER_SIZE {
        let message =
            format!("MiniDumpWriteDump says that it is done, but wrote {size} bytes, which is no dump");
        return Err(io::Error::new(io::ErrorKind::WriteZero, message).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_that_is_none_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(31).unwrap();
        assert!(check(&file).unwrap_err().to_string().contains("wrote 31 bytes"));
        file.set_len(32).unwrap();
        check(&file).unwrap();
        assert_eq!((&file).stream_position().unwrap(), 32);
    }
}
