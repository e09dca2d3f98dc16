use crate::{DumpOptions, DumpReport, Error, Pid, dump, sys};
use minidump_formats::minidump::SectionWriter;
use std::io;
use std::time::Instant;

/// Dumps one process time after time, as monitoring does.
///
/// From one dump to the next it keeps what seldom changes: the modules with their build ids and versions, the loader's list, facts of
/// the machine, and the memory that it copies to. It looks each time whether these still hold: modules are read again
/// when a file was mapped or unmapped, all of it when the program was replaced (exec). Threads, registers, memory, the
/// memory map, and the texts of /proc are new in each dump. The file is the one that [`dump_process`](crate::dump_process)
/// would write.
///
/// ```no_run
/// use minidump_writer::{Dumper, DumpOptions, output::DumpFile};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut dumper = Dumper::open(4711, DumpOptions::default())?;
/// for name in ["first.dmp", "second.dmp"] {
///     let mut file = DumpFile::create(name)?;
///     let report = dumper.dump(&mut file)?;
///     file.commit()?;
///     println!("{name}: stopped for {:?}", report.stopped);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Dumper {
    session: sys::Session,
    options: DumpOptions,
}

impl Dumper {
    /// A dumper for process `pid`, or for the process of thread `pid`, which is then blamed. Nothing is stopped yet, and
    /// nothing of the process is held open until the first dump.
    ///
    /// # Errors
    /// When there is no such process, or it can have no dump, as a zombie or a kernel thread.
    pub fn open(pid: Pid, options: DumpOptions) -> Result<Self, Error> {
        Ok(Self { session: sys::Session::open(pid)?, options })
    }

    /// The options of the dumps to come.
    pub fn options_mut(&mut self) -> &mut DumpOptions {
        &mut self.options
    }

    /// Captures the process as it is now and writes a dump of it, front to back, to `output`.
    ///
    /// # Errors
    /// As [`dump_process`](crate::dump_process); also [`Error::TargetGone`] when the process has ended, even if
    /// another one has its id by now. The dumper can be used again after any error.
    pub fn dump(&mut self, output: &mut dyn io::Write) -> Result<DumpReport, Error> {
        self.dump_with(&[], output)
    }

    /// As [`dump`](Self::dump), with streams of the application's own in the minidump.
    ///
    /// # Errors
    /// As [`dump`](Self::dump); also when two sections have the same stream type.
    pub fn dump_with(
        &mut self,
        sections: &[&dyn SectionWriter],
        output: &mut dyn io::Write,
    ) -> Result<DumpReport, Error> {
        let start = Instant::now();
        let capture = self.session.capture(&self.options)?;
        let session = &mut self.session;
        let finish = |capture: sys::Capture| capture.finish_into(session);
        dump::write(capture, &self.options, sections, output, start, finish)
    }
}
