//! The dump that a crashing process writes itself when no handler does.
#![expect(unsafe_code, reason = "system calls with descriptors and names that were prepared")]

use super::held::Held;
use super::message::Signal;
use super::region::Region;
use super::state::METADATA;
use super::sys;
use crate::client::json::{Json, known};
use crate::store::{Id, Metadata, Reserved};
use libc::{c_int, pid_t};
use minidump_record::{Annotations, Context, Crash, MEMORY_SIZE, Recorder};
use std::ffi::CStr;
use std::fmt::Write as _;
use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the metadata that are written at most: those of the longest annotations, each byte of which may take six.
pub const MOST_METADATA: usize = 256 << 10;

/// What was prepared. Nothing of it is on the heap.
#[derive(Debug)]
pub struct Fallback {
    recorder: Recorder,
    /// The files that were reserved, and their names.
    dump: Held,
    metadata: Held,
    names: [Name; 2],
    /// The directories `new` and `pending`.
    new: Held,
    pending: Held,
    /// The process that reserved them; its children make files of their own.
    owner: pid_t,
    is_used: AtomicBool,
    /// The metadata as far as they are known ahead: a JSON object but for its last brace.
    known: &'static [u8],
}

/// The files of a dump.
#[derive(Debug, Clone, Copy)]
struct Files {
    dump: c_int,
    metadata: c_int,
    /// Their names in `new`.
    names: [Name; 2],
    is_own: bool,
}

/// A file name, with its zero.
type Name = Text<96>;

/// A text in a place of its own.
#[derive(Debug, Clone, Copy)]
struct Text<const SIZE: usize> {
    bytes: [u8; SIZE],
    length: usize,
}

impl<const SIZE: usize> Text<SIZE> {
    fn new() -> Self {
        Self { bytes: [0; SIZE], length: 0 }
    }

    /// `None` when it was too long.
    fn as_c(&self) -> Option<&CStr> {
        CStr::from_bytes_with_nul(self.bytes.get(..=self.length)?).ok()
    }
}

impl<const SIZE: usize> std::fmt::Write for Text<SIZE> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length.saturating_add(text.len());
        // One byte stays zero.
        let room = self.bytes.get_mut(self.length..end).filter(|_| end < SIZE).ok_or(std::fmt::Error)?;
        room.iter_mut().zip(text.as_bytes()).for_each(|(to, from)| *to = *from);
        self.length = end;
        Ok(())
    }
}

impl Fallback {
    /// Prepares for the dump whose files were `reserved`, which stay open as long as the process lives.
    pub fn new(region: &mut Region, reserved: &Reserved, metadata: &Metadata) -> io::Result<Option<Self>> {
        let Some(recorder) = Recorder::new(region.take(MEMORY_SIZE)?) else { return Ok(None) };
        let mut names = [Name::new(), Name::new()];
        for (to, from) in names.iter_mut().zip([&reserved.dump_name, &reserved.metadata_name]) {
            to.write_str(from).map_err(io::Error::other)?;
        }
        Ok(Some(Self {
            recorder,
            dump: Held::new(reserved.dump.as_raw_fd()),
            metadata: Held::new(reserved.metadata.as_raw_fd()),
            names,
            new: Held::new(reserved.new.as_raw_fd()),
            pending: Held::new(reserved.pending.as_raw_fd()),
            owner: sys::process_id(),
            is_used: AtomicBool::new(false),
            known: region.copy(known(metadata).as_bytes())?,
        }))
    }

    /// Whether the files are still those that were reserved: to be closed, that is.
    pub fn has_files(&self) -> bool {
        [&self.dump, &self.metadata, &self.new, &self.pending].iter().all(|held| held.get() >= 0)
    }

    /// Takes what was reserved, to remove it, if this process has reserved it and not used it.
    pub fn give_up(&self) -> bool {
        sys::process_id() == self.owner && !self.is_used.swap(true, Ordering::AcqRel)
    }

    /// Removes the files that were reserved, which nobody needs: the handler has made the dump. A later crash of a program
    /// that goes on makes new ones.
    pub fn remove(&self) {
        if !self.give_up() {
            return;
        }
        for name in self.names.iter().filter_map(Name::as_c) {
            // SAFETY: the directory is open, and the name ends with zero.
            unsafe { libc::unlinkat(self.new.get(), name.as_ptr(), 0) };
        }
    }

    /// Writes the dump. Whether there is one now, be it only its beginning.
    pub fn record(&self, signal: &Signal, annotations: &Annotations) -> bool {
        let (pid, tid) = (sys::process_id(), sys::thread_id());
        let Some(files) = self.files(pid) else { return false };
        // SAFETY: the address that the kernel gave to the signal handler, which has not returned.
        let Some(context) = (unsafe { Context::from_ucontext(signal.ucontext) }) else { return false };
        let crash = Crash {
            tid,
            signal: signal.number,
            code: signal.code(),
            address: signal.address(),
            parameters: &[],
            context: &context,
        };
        let is_whole = match self.recorder.record(&crash, files.dump, annotations) {
            Ok(_) => true,
            // What is there begins with the crash.
            Err(minidump_record::RecordError::Output { written, .. }) if written > 188 => false,
            Err(_) => return false,
        };
        self.describe(&files, signal, (pid, tid), annotations, is_whole);
        self.publish(&files, pid);
        true
    }

    /// Those that were prepared, if they are this process's; else new ones.
    fn files(&self, pid: pid_t) -> Option<Files> {
        if pid == self.owner && !self.is_used.swap(true, Ordering::AcqRel) {
            let (dump, metadata) = (self.dump.get(), self.metadata.get());
            if dump >= 0 {
                return Some(Files { dump, metadata, names: self.names, is_own: true });
            }
        }
        let mut names = [Name::new(), Name::new()];
        name_of_now(&mut names, pid)?;
        let [dump, metadata] = [self.create(&names[0]), self.create(&names[1])];
        // SAFETY: a descriptor of ours. Where the lock cannot be had, the file is as it is.
        unsafe { libc::flock(dump, libc::LOCK_EX | libc::LOCK_NB) };
        (dump >= 0).then_some(Files { dump, metadata, names, is_own: false })
    }

    /// A new file in `new`; negative when there is none.
    fn create(&self, name: &Name) -> c_int {
        let Some(name) = name.as_c() else { return -1 };
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOFOLLOW;
        // SAFETY: the directory is open, and the name ends with zero.
        unsafe { libc::openat(self.new.get(), name.as_ptr(), flags, 0o600) }
    }

    /// Writes the metadata. What cannot be written is left as it was.
    fn describe(
        &self,
        files: &Files,
        signal: &Signal,
        (pid, tid): (pid_t, pid_t),
        annotations: &Annotations,
        is_whole: bool,
    ) {
        let Some(scratch) = METADATA.take() else { return };
        let mut json = Json::new(scratch);
        json.raw(std::str::from_utf8(self.known).unwrap_or("{\"version\":1"));
        let name = signal_name(signal.number);
        let _ = write!(
            json,
            r#","when_us":{},"pid":{pid},"tid":{tid},"signal":{},"partial":{},"reason":"{name} at {:#x}","annotations":{{"#,
            sys::now_us(),
            signal.number,
            !is_whole,
            signal.address(),
        );
        json.annotations(annotations);
        json.raw("}}\n");
        if let Some(text) = json.finish() {
            // SAFETY: the text's own length; a descriptor that is none is refused.
            unsafe {
                let written = libc::pwrite(files.metadata, text.as_ptr().cast(), text.len(), 0);
                if usize::try_from(written) == Ok(text.len()) {
                    libc::ftruncate(files.metadata, written as libc::off_t);
                }
            }
        }
        METADATA.give();
    }

    /// Moves both files to `pending`, under the name of now. What fails, the next sweep does.
    fn publish(&self, files: &Files, pid: pid_t) {
        let mut now = [Name::new(), Name::new()];
        let to = match name_of_now(&mut now, pid) {
            Some(()) if files.is_own => &now,
            _ => &files.names,
        };
        let (new, pending) = (self.new.get(), self.pending.get());
        for (from, to) in files.names.iter().zip(to).rev() {
            let (Some(from), Some(to)) = (from.as_c(), to.as_c()) else { return };
            // SAFETY: open directories, and names that end with zero.
            if unsafe { libc::renameat(new, from.as_ptr(), pending, to.as_ptr()) } != 0 {
                return;
            }
        }
    }
}

/// The names of a crash now.
fn name_of_now([dump, metadata]: &mut [Name; 2], pid: pid_t) -> Option<()> {
    let id = Id::at(sys::now_us(), pid.unsigned_abs(), sys::some_number());
    write!(dump, "{id}.dmp").ok()?;
    write!(metadata, "{id}.json").ok()
}

/// The name of a signal that is hooked.
fn signal_name(signal: i32) -> &'static str {
    crate::signals::CORE.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| name)
}
