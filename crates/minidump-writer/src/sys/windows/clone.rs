//! A copy-on-write clone of a process, which is read while the process itself runs on.
//!
//! Source: <https://learn.microsoft.com/previous-versions/windows/desktop/proc_snap/overview-of-process-snapshotting>.
//! The functions are in every Windows since 8.1; Wine lacks them, so they are looked up.
#![expect(unsafe_code, reason = "calls of the system")]

use super::ntdll::find;
use crate::{Error, Pid};
use std::ffi::c_void;
use std::io;
use std::mem::transmute;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Diagnostics::ProcessSnapshotting::{
    HPSS, PSS_CAPTURE_VA_CLONE, PSS_CREATE_BREAKAWAY_OPTIONAL, PSS_CREATE_RELEASE_SECTION,
    PSS_QUERY_VA_CLONE_INFORMATION, PSS_VA_CLONE_INFORMATION,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessId, OpenProcess, PROCESS_CREATE_PROCESS, PROCESS_QUERY_INFORMATION,
    PROCESS_VM_OPERATION, PROCESS_VM_READ,
};

/// What the system asks for to clone an address space.
const NEEDED: u32 =
    PROCESS_CREATE_PROCESS | PROCESS_QUERY_INFORMATION | PROCESS_VM_READ | PROCESS_VM_OPERATION;
/// Memory alone. The clone leaves the target's job where that lets it: its limits are for the target.
const FLAGS: u32 = PSS_CAPTURE_VA_CLONE | PSS_CREATE_BREAKAWAY_OPTIONAL | PSS_CREATE_RELEASE_SECTION;

type CaptureSnapshot = unsafe extern "system" fn(HANDLE, u32, u32, *mut HPSS) -> u32;
type QuerySnapshot = unsafe extern "system" fn(HPSS, i32, *mut c_void, u32) -> u32;
type FreeSnapshot = unsafe extern "system" fn(HANDLE, HPSS) -> u32;

/// The functions of process snapshots.
#[derive(Debug, Clone, Copy)]
struct Functions {
    capture: CaptureSnapshot,
    query: QuerySnapshot,
    free: FreeSnapshot,
}

impl Functions {
    /// `None` where the system has none.
    fn find() -> Option<Self> {
        // SAFETY: the functions of these names have these signatures (processsnapshot.h).
        unsafe {
            Some(Self {
                capture: transmute::<unsafe extern "system" fn() -> isize, CaptureSnapshot>(find(
                    c"kernel32.dll",
                    c"PssCaptureSnapshot",
                )?),
                query: transmute::<unsafe extern "system" fn() -> isize, QuerySnapshot>(find(
                    c"kernel32.dll",
                    c"PssQuerySnapshot",
                )?),
                free: transmute::<unsafe extern "system" fn() -> isize, FreeSnapshot>(find(
                    c"kernel32.dll",
                    c"PssFreeSnapshot",
                )?),
            })
        }
    }
}

/// A clone of a process. It has the same memory as the process had, no threads, and ends when this is dropped.
#[derive(Debug)]
pub struct ProcessClone {
    functions: Functions,
    snapshot: HPSS,
    /// The clone; it belongs to the snapshot.
    process: HANDLE,
}

impl ProcessClone {
    /// Clones process `pid`, which `process` is a handle to. Its threads stand still as long as that takes; they may stand
    /// still already.
    ///
    /// # Errors
    /// [`Error::CopyRefused`] with the reason, when the system has no clones or refuses this one.
    pub fn of(process: BorrowedHandle<'_>, pid: Pid) -> Result<Self, Error> {
        let refused = |reason: String| Error::CopyRefused { pid, reason };
        let functions = Functions::find()
            .ok_or_else(|| refused("this system has no process snapshots (PssCaptureSnapshot)".to_owned()))?;
        let source = reopen(process).map_err(|error| refused(format!("OpenProcess: {error}")))?;
        let mut snapshot: HPSS = null_mut();
        // SAFETY: the handle is open, and the pointer is to a variable of the type that the call writes.
        let code = unsafe { (functions.capture)(source.as_raw_handle(), FLAGS, 0, &raw mut snapshot) };
        check("PssCaptureSnapshot", code).map_err(refused)?;
        let mut clone = Self { functions, snapshot, process: null_mut() };
        let mut facts = PSS_VA_CLONE_INFORMATION::default();
        let size = u32::try_from(size_of_val(&facts)).unwrap_or(0);
        let buffer = (&raw mut facts).cast();
        // SAFETY: the snapshot was just made, and the structure is as long as said.
        let code = unsafe { (functions.query)(clone.snapshot, PSS_QUERY_VA_CLONE_INFORMATION, buffer, size) };
        check("PssQuerySnapshot", code).map_err(refused)?;
        if facts.VaCloneHandle.is_null() {
            return Err(refused("the system made a snapshot without a clone".to_owned()));
        }
        clone.process = facts.VaCloneHandle;
        Ok(clone)
    }

    /// The clone, to read from.
    pub fn handle(&self) -> BorrowedHandle<'_> {
        // SAFETY: the snapshot keeps the handle open until it is freed, which only `drop` does.
        unsafe { BorrowedHandle::borrow_raw(self.process) }
    }
}

impl Drop for ProcessClone {
    fn drop(&mut self) {
        // Ends the clone, too, and closes its handle.
        // SAFETY: the snapshot was made by this process, and nothing refers to it any more.
        unsafe { (self.functions.free)(GetCurrentProcess(), self.snapshot) };
    }
}

/// A handle with the rights that a clone takes, to the process that `process` is a handle to. As that is held open, its id
/// cannot become another one's.
fn reopen(process: BorrowedHandle<'_>) -> io::Result<OwnedHandle> {
    // SAFETY: the handle is open.
    let id = unsafe { GetProcessId(process.as_raw_handle()) };
    // SAFETY: takes numbers alone.
    let handle = unsafe { OpenProcess(NEEDED, 0, id) };
    if id == 0 || handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just made, and nobody else knows it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// What a call returned, which is an error of the system or zero.
fn check(call: &str, code: u32) -> Result<(), String> {
    if code == 0 {
        Ok(())
    } else {
        Err(format!("{call}: {}", io::Error::from_raw_os_error(code.cast_signed())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;

    /// On a system with clones: the memory of this process is in its clone. On one without: the reason.
    #[test]
    fn a_clone_has_the_memory_of_its_process_or_there_is_a_reason_why_not() {
        let secret = *b"seen through the clone";
        // SAFETY: the pseudo handle of the own process is always open.
        let own = unsafe { BorrowedHandle::borrow_raw(GetCurrentProcess()) };
        match ProcessClone::of(own, 7) {
            Ok(clone) => {
                let mut read = [0_u8; 22];
                let (from, to) = (secret.as_ptr().cast(), read.as_mut_ptr().cast());
                // SAFETY: the buffer has as many bytes as are said.
                let done = unsafe {
                    ReadProcessMemory(clone.handle().as_raw_handle(), from, to, read.len(), null_mut())
                };
                assert_ne!(done, 0);
                assert_eq!(read, secret);
            }
            Err(error) => assert_eq!(
                error.to_string(),
                "process 7 cannot be copied for a copy-on-write dump: this system has no process snapshots \
                 (PssCaptureSnapshot)"
            ),
        }
    }
}
