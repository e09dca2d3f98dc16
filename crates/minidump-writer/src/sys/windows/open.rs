//! From a process id to a process that may be captured.
#![expect(unsafe_code, reason = "calls of the system")]

use super::privilege::DebugPrivilege;
use super::times::ProcessTimes;
use crate::{Error, Pid};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::sync::Arc;
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{
    GetProcessId, GetProcessIdOfThread, IsWow64Process, OpenProcess, OpenThread, PROCESS_DUP_HANDLE,
    PROCESS_QUERY_INFORMATION, PROCESS_SUSPEND_RESUME, PROCESS_SYNCHRONIZE, PROCESS_VM_READ,
    PROCESS_VM_WRITE, THREAD_QUERY_LIMITED_INFORMATION, WaitForSingleObject,
};

/// What a capture needs: to query threads, the memory map and times, to read memory, to see that the process has ended.
const NEEDED: u32 = PROCESS_QUERY_INFORMATION | PROCESS_VM_READ | PROCESS_SYNCHRONIZE;

/// An open process.
#[derive(Debug)]
pub struct Target {
    /// Its id.
    pub pid: Pid,
    /// The same, as the system counts.
    pub id: u32,
    /// The process.
    pub process: Arc<OwnedHandle>,
    /// The thread that was asked for, when the id was one of a thread.
    pub named_thread: Option<u32>,
    /// When it began and what it used.
    pub times: ProcessTimes,
    /// A program for 32-bit x86 that runs on the 64-bit system by WOW64.
    pub is_wow64: bool,
}

/// Who makes the process stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The capture.
    Capture,
    /// The caller, whose threads it stops.
    Caller,
}

impl Target {
    /// Opens process `pid`, or the process of thread `pid`, with as few rights as the capture needs.
    pub fn open(pid: Pid, holder: Holder) -> Result<Self, Error> {
        let id = u32::try_from(pid).ok().filter(|id| *id > 0).ok_or(Error::InvalidPid { pid })?;
        let (process, named_thread) = match open_process(id, holder) {
            Ok(process) => (process, None),
            Err(error) if is(&error, ERROR_INVALID_PARAMETER) => {
                let owner = owner_of_thread(id).ok_or(Error::NoSuchProcess { pid })?;
                (open_process(owner, holder).map_err(|error| refused(pid, &error))?, Some(id))
            }
            Err(error) => return Err(refused(pid, &error)),
        };
        // The system takes ids that are up to three too high for the same process.
        // SAFETY: the handle is open.
        let id = unsafe { GetProcessId(process.as_raw_handle()) };
        let pid = Pid::try_from(id).ok().filter(|pid| *pid > 0).ok_or(Error::InvalidPid { pid })?;
        if id == std::process::id() {
            return Err(Error::OwnProcess { pid });
        }
        if has_ended(process.as_handle()) {
            return Err(Error::TargetGone { pid });
        }
        let is_wow64 = is_wow64(process.as_handle());
        check_width(pid, is_wow64)?;
        let times = ProcessTimes::of(process.as_handle()).unwrap_or_default();
        Ok(Self { pid, id, process: Arc::new(process), named_thread, times, is_wow64 })
    }

    /// The process, with all the rights that any system asks a debugger for.
    pub fn to_debug(&self) -> Option<OwnedHandle> {
        open_with(self.id, PROCESS_SUSPEND_RESUME | PROCESS_VM_READ | PROCESS_VM_WRITE).ok()
    }

    /// The process.
    pub fn handle(&self) -> BorrowedHandle<'_> {
        self.process.as_handle()
    }
}

/// Opens a process, with the right to copy its handles too where the system grants that: only then can they be named.
fn open_process(id: u32, holder: Holder) -> io::Result<OwnedHandle> {
    let needed = match holder {
        Holder::Capture => NEEDED | PROCESS_SUSPEND_RESUME,
        Holder::Caller => NEEDED,
    };
    open_with(id, needed | PROCESS_DUP_HANDLE).or_else(|_| open_with(id, needed)).or_else(|error| {
        if is(&error, ERROR_ACCESS_DENIED) { open_privileged(id, needed) } else { Err(error) }
    })
}

/// Opens a process of another user or of the system, as administrators may.
fn open_privileged(id: u32, needed: u32) -> io::Result<OwnedHandle> {
    let Ok(_privilege) = DebugPrivilege::take() else {
        return Err(io::Error::from_raw_os_error(ERROR_ACCESS_DENIED.cast_signed()));
    };
    open_with(id, needed | PROCESS_DUP_HANDLE)
}

fn open_with(id: u32, access: u32) -> io::Result<OwnedHandle> {
    // SAFETY: takes numbers alone.
    let handle = unsafe { OpenProcess(access, 0, id) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just made, and nobody else knows it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// The process that thread `id` belongs to.
fn owner_of_thread(id: u32) -> Option<u32> {
    // SAFETY: takes numbers alone.
    let handle = unsafe { OpenThread(THREAD_QUERY_LIMITED_INFORMATION, 0, id) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: the handle was just made, and nobody else knows it.
    let thread = unsafe { OwnedHandle::from_raw_handle(handle) };
    // SAFETY: the handle is open.
    let owner = unsafe { GetProcessIdOfThread(thread.as_raw_handle()) };
    Some(owner).filter(|owner| *owner > 0)
}

/// Whether the process has ended. Its object remains as long as anybody has a handle to it.
pub fn has_ended(process: BorrowedHandle<'_>) -> bool {
    // SAFETY: the handle is open for SYNCHRONIZE; no time is spent waiting.
    unsafe { WaitForSingleObject(process.as_raw_handle(), 0) == WAIT_OBJECT_0 }
}

fn is_wow64(process: BorrowedHandle<'_>) -> bool {
    let mut answer = 0;
    // SAFETY: the handle is open, and the pointer is to a variable of the type that the call writes.
    let known = unsafe { IsWow64Process(process.as_raw_handle(), &raw mut answer) } != 0;
    known && answer != 0
}

/// A 32-bit program can neither read all of a 64-bit one nor ask for its registers.
fn check_width(pid: Pid, is_wow64: bool) -> Result<(), Error> {
    if cfg!(target_pointer_width = "64") || is_wow64 {
        return Ok(());
    }
    // SAFETY: the pseudo handle of the own process is always open.
    let own =
        unsafe { BorrowedHandle::borrow_raw(windows_sys::Win32::System::Threading::GetCurrentProcess()) };
    if self::is_wow64(own) { Err(Error::UnsupportedProgram { pid, what: "64-bit" }) } else { Ok(()) }
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error().map(i32::cast_unsigned) == Some(code)
}

fn refused(pid: Pid, error: &io::Error) -> Error {
    if is(error, ERROR_INVALID_PARAMETER) {
        return Error::NoSuchProcess { pid };
    }
    let reason = if is(error, ERROR_ACCESS_DENIED) {
        "the system denied it; run this program as the same user, or as an administrator with the right to debug \
         programs (SeDebugPrivilege); protected processes are closed to everybody"
            .to_owned()
    } else {
        format!("OpenProcess: {error}")
    };
    Error::PermissionDenied { pid, reason }
}
