//! Where the dump of a crash goes: the dump directory, with what is known beside it.

use super::crash::Crash;
use minidump_handler::store::{Limits, Metadata, NewDump, Store};
use minidump_writer::DumpReport;
use std::io::{self, IoSlice, Write};
use std::path::Path;

/// The signals whose default action writes a core (signal(7)), by their numbers on x86-64.
const SIGNALS: [(i32, &str); 10] = [
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (11, "SIGSEGV"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (31, "SIGSYS"),
];

/// A dump that is being written.
#[derive(Debug)]
pub struct Place {
    dump: NewDump,
    metadata: Metadata,
}

impl Place {
    /// Begins the dump of `crash`.
    ///
    /// # Errors
    /// Why there is none, in a sentence: nothing can be written, or the program crashes all the time.
    pub fn open(directory: &Path, crash: &Crash) -> Result<Self, String> {
        let executable = String::from_utf8_lossy(&crash.executable()).into_owned();
        let store = Store::open(directory, Limits::SHARED).map_err(|error| error.to_string())?;
        let dump = store.begin(&executable).map_err(|error| error.to_string())?;
        let mut metadata = Metadata::now(executable.clone());
        metadata.executable = executable;
        metadata.pid = u32::try_from(crash.pid).ok();
        metadata.tid = u32::try_from(crash.tid).ok();
        metadata.signal = crash.signal();
        metadata.reason = reason(crash);
        metadata.source = "core-handler".into();
        dump.announce(&metadata);
        Ok(Self { dump, metadata })
    }

    /// Puts the whole dump where dumps are found.
    ///
    /// # Errors
    /// What failed, in a sentence.
    pub fn commit(mut self, report: &DumpReport) -> Result<(), String> {
        report.soft_errors.iter().for_each(|error| self.metadata.note(error));
        self.dump.commit(&self.metadata).map(drop).map_err(|error| error.to_string())
    }

    /// Keeps what could be written, which begins with what matters most. Returns whether that is anything.
    pub fn keep_part(self) -> bool {
        self.dump.written() > 0 && self.dump.commit_partial(&self.metadata).is_ok()
    }
}

fn reason(crash: &Crash) -> String {
    let number = crash.signal().unwrap_or(0);
    let known = SIGNALS.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("signal {number}"), |(_, name)| (*name).to_owned())
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.dump.write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.dump.write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.dump.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::crash::tests::crash;
    use super::*;

    #[test]
    fn a_dump_that_ends_early_is_kept_with_what_is_known_of_the_crash() {
        let root = tempfile::tempdir().unwrap();
        let mut place = Place::open(root.path(), &crash("!opt!my app")).unwrap();
        place.write_all(b"MDMP").unwrap();
        assert!(place.keep_part());
        let stored = Store::open(root.path(), Limits::SHARED).unwrap().pending().unwrap();
        let [dump] = stored.as_slice() else { panic!("one dump: {stored:?}") };
        let Metadata { executable, pid, tid, signal, reason, source, partial, .. } = &dump.metadata;
        assert_eq!((executable.as_str(), reason.as_str()), ("/opt/my app", "SIGSEGV"));
        assert_eq!(
            (*pid, *tid, *signal, *partial),
            (Some(2_147_483_000), Some(2_147_483_001), Some(11), true)
        );
        assert_eq!(source, "core-handler");
        assert_eq!(std::fs::read(&dump.dump).unwrap(), b"MDMP");
    }

    #[test]
    fn nothing_is_left_of_a_dump_that_was_not_begun() {
        let root = tempfile::tempdir().unwrap();
        assert!(!Place::open(root.path(), &crash("!x")).unwrap().keep_part());
        assert!(Store::open(root.path(), Limits::SHARED).unwrap().pending().unwrap().is_empty());
    }
}
