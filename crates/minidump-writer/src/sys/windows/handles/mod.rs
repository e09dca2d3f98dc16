//! Open handles of a process: what they are to, and by which names.
//!
//! The system lists their values and rights; what they are to is only told of a handle of one's own, so each is copied.
//! Whatever may take a lock of a file object is left to [`FileNames`]: a thread of the target that waits in a synchronous
//! pipe holds that lock for as long as it waits.
#![expect(unsafe_code, reason = "calls of the system")]

mod file_names;
mod list;
mod object;

use super::ntdll::Status;
use crate::snapshot::{SoftError, Stage, WindowsHandle};
use file_names::{FileNames, Named};
use list::Entry;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;
use std::time::Instant;
use windows_sys::Win32::Foundation::DuplicateHandle;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// Most handles that are listed. A process may have 16 million; each costs five system calls.
const LIMIT: usize = 16 << 10;

/// Lists the handles of process `id`, by value, and asks until `deadline` what they are to. Of those that come later only
/// the value and the rights are told.
///
/// `process` should have the right PROCESS_DUP_HANDLE. Not to be called while the target stands still for it.
pub fn handles(
    process: BorrowedHandle<'_>,
    id: u32,
    deadline: Instant,
    soft_errors: &mut Vec<SoftError>,
) -> Vec<WindowsHandle> {
    let mut entries = match list::of_process(process, id) {
        Ok(entries) => entries,
        Err(status) => {
            let soft = SoftError::new(Stage::Handles, "the handles could not be listed");
            soft_errors.push(soft.os_error(Some(status.os_error())));
            return Vec::new();
        }
    };
    entries.sort_unstable_by_key(|entry| entry.value);
    if entries.len() > LIMIT {
        let message = format!("{} handles are open, the first {LIMIT} are listed", entries.len());
        soft_errors.push(SoftError::new(Stage::Handles, message));
        entries.truncate(LIMIT);
    }
    let mut reader = Reader { process, deadline, names: FileNames::default(), missing: Missing::default() };
    let handles = entries.iter().map(|entry| reader.handle(entry)).collect();
    reader.missing.report(soft_errors);
    handles
}

/// Finds out what handles are to.
struct Reader<'a> {
    process: BorrowedHandle<'a>,
    deadline: Instant,
    names: FileNames,
    missing: Missing,
}

/// How many handles something is not known of.
#[derive(Default)]
struct Missing {
    /// Came after the deadline.
    late: usize,
    /// Could not be copied, and the first reason.
    uncopied: (usize, Option<i32>),
    /// Files whose names did not come in time.
    silent: usize,
    /// Files that were not asked, since too many before did not answer.
    unasked: usize,
}

impl Missing {
    fn report(&self, soft_errors: &mut Vec<SoftError>) {
        let (uncopied, code) = self.uncopied;
        for (count, what, code) in [
            (self.late, "were not looked into: the deadline had passed", None),
            (uncopied, "could not be copied, and are listed without type and name", code),
            (self.silent, "are of files in use that do not tell their names", None),
            (self.unasked, "are of files that were not asked: too many others do not answer", None),
        ] {
            if count > 0 {
                let soft = SoftError::new(Stage::Handles, format!("{count} handles {what}"));
                soft_errors.push(soft.os_error(code));
            }
        }
    }
}

impl Reader<'_> {
    fn handle(&mut self, entry: &Entry) -> WindowsHandle {
        let mut handle = WindowsHandle {
            value: entry.value as u64,
            attributes: entry.attributes,
            granted_access: entry.granted_access,
            handle_count: entry.counts.map_or(0, |counts| counts.0),
            pointer_count: entry.counts.map_or(0, |counts| counts.1),
            ..WindowsHandle::default()
        };
        if Instant::now() >= self.deadline {
            self.missing.late += 1;
            return handle;
        }
        match self.copy(entry) {
            Ok(copy) => self.describe(copy, entry, &mut handle),
            Err(error) => {
                self.missing.uncopied.0 += 1;
                self.missing.uncopied.1 = self.missing.uncopied.1.or(error.raw_os_error());
            }
        }
        handle
    }

    /// A handle of our own to the same object, without any right to it.
    fn copy(&self, entry: &Entry) -> io::Result<OwnedHandle> {
        let mut copy = null_mut();
        let value = std::ptr::without_provenance_mut(entry.value);
        // SAFETY: both process handles are open, the value is only looked up, and the pointer is to a variable of the type
        // that the call writes.
        let done = unsafe {
            DuplicateHandle(self.process.as_raw_handle(), value, GetCurrentProcess(), &raw mut copy, 0, 0, 0)
        };
        if done == 0 || copy.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so this is a handle that nobody else knows.
        Ok(unsafe { OwnedHandle::from_raw_handle(copy) })
    }

    fn describe(&mut self, copy: OwnedHandle, entry: &Entry, handle: &mut WindowsHandle) {
        if entry.counts.is_none()
            && let Ok((handles, pointers)) = object::counts(copy.as_handle())
        {
            // Without ours.
            handle.handle_count = handles.saturating_sub(1);
            handle.pointer_count = pointers.saturating_sub(1);
        }
        handle.type_name = object::type_name(copy.as_handle()).unwrap_or_default();
        // A type that is not known may be that of files.
        if handle.type_name != "File" && !handle.type_name.is_empty() {
            handle.name = object::name(copy.as_handle()).ok().flatten();
            return;
        }
        match self.names.ask(copy, self.deadline) {
            Named::Answered(name) => handle.name = name,
            Named::Silent => self.missing.silent += 1,
            Named::NotAsked => self.missing.unasked += 1,
        }
    }
}

/// Statuses of calls whose buffer is too small: `STATUS_INFO_LENGTH_MISMATCH`, `STATUS_BUFFER_OVERFLOW`,
/// `STATUS_BUFFER_TOO_SMALL`.
fn is_too_small(status: Status) -> bool {
    matches!(status.0.cast_unsigned(), 0xc000_0004 | 0x8000_0005 | 0xc000_0023)
}

#[cfg(test)]
mod tests;
