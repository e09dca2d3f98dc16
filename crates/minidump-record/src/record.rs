//! What is recorded, and in which order.

use crate::annotations::Annotations;
use crate::context::Context;
use crate::crash_thread::{self, Places};
use crate::directory;
use crate::facts::Facts;
use crate::maps::Maps;
use crate::memory::Memory;
use crate::modules::{self, Sight};
use crate::notes::{Note, Notes, Stage};
use crate::output::{Full, Output};
use crate::proc_fs::ProcFs;
use crate::scratch::{self, Scratch};
use crate::stack::{Range, StackSearch, Window};
use crate::sys::{self, Errno};
use crate::table::Table;
use crate::{texts, threads};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A file descriptor.
pub type RawFd = core::ffi::c_int;

/// A crash as its signal handler sees it.
#[derive(Debug, Clone, Copy)]
pub struct Crash<'a> {
    /// The thread that crashed, as gettid(2) tells.
    pub tid: i32,
    /// Signal number.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// Address that the signal is about, or the instruction pointer where it tells none.
    pub address: u64,
    /// Further facts for the exception record; the first 15 are kept.
    pub parameters: &'a [u64],
    /// Registers at the crash.
    pub context: &'a Context,
}

/// Why there is no whole dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// A record is being made: by another thread that crashed, or by the code that crashed itself while it made one.
    Busy,
    /// The file could not be written to its end. What of it was written is a readable minidump, if it is more than the
    /// 188 bytes of header and directory.
    Output {
        /// Bytes in the file.
        written: u64,
        /// Error number of the operating system.
        errno: i32,
    },
    /// This crate has no back end for this platform.
    Unsupported,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Busy => f.write_str("a record is being made already"),
            Self::Output { written, errno } => {
                write!(f, "the file could not be written beyond {written} bytes (os error {errno})")
            }
            Self::Unsupported => f.write_str("the recorder does not know this platform"),
        }
    }
}

impl core::error::Error for RecordError {}

/// Writes the last-resort minidump of its own process. Prepared once, while all is well; recording then needs nothing
/// but the kernel.
#[derive(Debug)]
pub struct Recorder {
    facts: Facts,
    proc_fs: ProcFs,
    scratch: UnsafeCell<&'static mut Scratch>,
    in_use: AtomicBool,
}

// SAFETY: the scratch memory is the only part that changes without being atomic. It is used by `record` alone, between
// taking and releasing `in_use`, which one thread at a time can do.
unsafe impl Sync for Recorder {}

/// Releases the recorder.
struct InUse<'a>(&'a AtomicBool);

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Recorder {
    /// Prepares a recorder that works in `memory`, which must have [`MEMORY_SIZE`](crate::MEMORY_SIZE) bytes; `None`
    /// when it has fewer. Looks up what does not change, and opens two descriptors. Allocates nothing.
    pub fn new(memory: &'static mut [u8]) -> Option<Self> {
        let scratch = UnsafeCell::new(scratch::place(memory)?);
        let proc_fs = ProcFs::new();
        let facts = Facts::look_up(&proc_fs);
        Some(Self { facts, proc_fs, scratch, in_use: AtomicBool::new(false) })
    }

    /// Writes a minidump of this process to `fd`, from the start of the file and instead of what it holds. Returns its
    /// size in bytes. To be called in a signal handler of the thread that crashed, on a stack with 4 KiB to spare (16 KiB
    /// without optimisation).
    ///
    /// The file should be a regular one, open for writing without `O_APPEND`. Space that was reserved for it with
    /// fallocate(2) is used, and what is left of it is given back.
    ///
    /// # Errors
    /// Another call is under way, or the file cannot be written. See [`RecordError`].
    pub fn record(
        &self,
        crash: &Crash<'_>,
        fd: RawFd,
        annotations: &Annotations,
    ) -> Result<u64, RecordError> {
        if !sys::SUPPORTED {
            return Err(RecordError::Unsupported);
        }
        if self.in_use.swap(true, Ordering::Acquire) {
            return Err(RecordError::Busy);
        }
        let _in_use = InUse(&self.in_use);
        // SAFETY: `in_use` was free and is ours now, so nobody else has this memory. A call that interrupted us would
        // have been refused.
        let scratch: &mut Scratch = unsafe { &mut **self.scratch.get() };
        let Scratch { output, text, image, note, notes, modules, threads, ranges } = scratch;
        notes.clear();
        notes.add(&Note::new(Stage::Target, "the last-resort dump was not finished"));
        let mut job = Job {
            crash,
            facts: &self.facts,
            proc_fs: &self.proc_fs,
            memory: Memory::new(&self.proc_fs),
            out: Output::new(fd, output),
            notes,
            text,
        };
        let sight = (image.as_mut_slice(), note.as_mut_slice());
        let tables = (Table::new(modules), Table::new(threads), Table::new(ranges));
        job.run(annotations, sight, tables)
    }
}

/// One call of [`Recorder::record`].
struct Job<'a> {
    crash: &'a Crash<'a>,
    facts: &'a Facts,
    proc_fs: &'a ProcFs,
    memory: Memory<'a>,
    out: Output<'a>,
    notes: &'a mut Notes,
    text: &'a mut [u8],
}

type Tables<'a> = (Table<'a, modules::ModuleRow>, Table<'a, threads::ThreadRow>, Table<'a, Range>);

impl Job<'_> {
    fn run(
        &mut self,
        annotations: &Annotations,
        sight: (&mut [u8], &mut [u8]),
        tables: Tables<'_>,
    ) -> Result<u64, RecordError> {
        let places = self.begin();
        if let Ok(places) = places {
            self.notes.clear();
            self.notes.add(&Note::new(
                Stage::Target,
                "last-resort dump: the process wrote it itself as it crashed",
            ));
            // A full disk ends the rest; the note on it is all that is left to do.
            let _ = self.rest(annotations, places, sight, tables);
            self.finish(places);
        }
        self.out.cut();
        let written = self.out.written();
        match self.out.failure() {
            None => Ok(written),
            Some(Errno(errno)) => Err(RecordError::Output { written, errno }),
        }
    }

    fn begin(&mut self) -> Result<Places, Full> {
        directory::begin(&mut self.out, sys::now())?;
        let pid = sys::process_id();
        crash_thread::append_essentials(&mut self.out, self.crash, self.facts, pid, self.notes.stream())
    }

    /// Everything that can be missing, by falling importance.
    fn rest(
        &mut self,
        annotations: &Annotations,
        places: Places,
        sight: (&mut [u8], &mut [u8]),
        (mut modules, mut threads, mut ranges): Tables<'_>,
    ) -> Result<(), Full> {
        let window = self.find_stack();
        let ip = self.crash.context.instruction_pointer();
        crash_thread::append_memory(&mut self.out, &mut self.memory, &mut ranges, (places, ip), window)?;
        let head = window.map(|window| window.head.0);
        let stack = ranges.rows().first().filter(|range| Some(range.start) == head).copied();
        if stack.is_none() {
            let note = Note::new(Stage::Memory, "the stack of the crashing thread was not found");
            self.notes.add(&note.address(self.crash.context.stack_pointer()));
        }
        self.append_modules(sight, &mut modules)?;
        texts::append_annotations(&mut self.out, annotations, self.notes)?;
        threads::find(self.proc_fs, self.text, self.crash.tid, &mut threads, self.notes);
        if let Ok(mut maps) = Maps::open(self.proc_fs, self.text) {
            let (out, memory) = (&mut self.out, &mut self.memory);
            threads::append_stacks(out, memory, &mut maps, &mut threads, &mut ranges)?;
        }
        let crashed = (self.crash.tid, places.context);
        threads::append_lists(&mut self.out, crashed, &threads, &ranges, stack)?;
        threads::append_names(&mut self.out, self.proc_fs, self.crash.tid, &mut threads)?;
        texts::append_files(&mut self.out, self.proc_fs, self.notes)
    }

    fn find_stack(&mut self) -> Option<Window> {
        let tid = self.crash.tid;
        let pointer = if sys::thread_id() == tid { sys::thread_pointer() } else { None };
        let sp = self.crash.context.stack_pointer();
        match Maps::open(self.proc_fs, self.text) {
            Ok(mut maps) => StackSearch::new(sp, pointer, tid == sys::process_id()).run(&mut maps),
            Err(error) => {
                let message = "the memory map cannot be read: stacks are guessed, and there are no modules";
                self.notes.add(&Note::new(Stage::MemoryMap, message).os_error(error));
                // Reading ends at the first page that cannot be read.
                let low = sp.saturating_sub(crate::stack::RED_ZONE);
                let start = if self.memory.read(low, &mut [0]) == 1 { low } else { sp };
                Some(Window { head: (start, start.saturating_add(crate::stack::STACK_CAP)), tail: None })
            }
        }
    }

    fn append_modules(
        &mut self,
        (image, note): (&mut [u8], &mut [u8]),
        table: &mut Table<'_, modules::ModuleRow>,
    ) -> Result<(), Full> {
        // That there is no map was noted when the stack was looked for.
        let Ok(mut maps) = Maps::open(self.proc_fs, self.text) else { return Ok(()) };
        let sight = Sight { memory: &mut self.memory, image, note };
        modules::append(&mut self.out, &mut maps, sight, table, self.notes, self.facts.program)
    }

    /// Puts the soft errors in their place, which works on a full disk, too.
    fn finish(&mut self, places: Places) {
        let _ = self.out.flush();
        if let Some(error) = self.out.failure() {
            let message = "the file could not be written to its end: streams are missing";
            self.notes.add(&Note::new(Stage::Target, message).os_error(error));
        }
        let _ = self.out.patch(places.notes.into(), self.notes.stream());
    }
}
