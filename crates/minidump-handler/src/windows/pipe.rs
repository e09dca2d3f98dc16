//! One end of a pipe of messages, on which nobody is waited for longer than told.
#![expect(unsafe_code, reason = "calls of the system")]

use super::operation::Operation;
use super::security::{self, Descriptor};
use super::{pipe_name, wide};
use crate::protocol::MOST_BYTES;
use std::ffi::OsStr;
use std::io;
use std::os::windows::io::{
    AsHandle as _, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle, RawHandle,
};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{
    ERROR_PIPE_BUSY, GENERIC_READ, HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE, SetHandleInformation,
};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA,
    OPEN_EXISTING, PIPE_ACCESS_DUPLEX, SECURITY_IDENTIFICATION, SECURITY_SQOS_PRESENT,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, DisconnectNamedPipe, GetNamedPipeClientProcessId, GetNamedPipeServerProcessId,
    PIPE_READMODE_MESSAGE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_MESSAGE, PIPE_UNLIMITED_INSTANCES,
    PIPE_WAIT, SetNamedPipeHandleState, WaitNamedPipeW,
};

/// Bytes that the system keeps of what the other side has not read yet; each side's.
const KEPT: u32 = 8 << 10;
/// Between two tries to reach a pipe all of whose ends are taken, in milliseconds.
const RETRY_MS: u32 = 50;

/// Which end of a pipe of a name is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instance {
    /// The first; it fails where somebody has the name already.
    First,
    /// The first, which is the only one.
    Only,
    /// One more.
    Another,
}

/// Makes the server's end of a pipe.
pub fn create(name: &OsStr, instance: Instance, descriptor: &Descriptor) -> io::Result<OwnedHandle> {
    let first = if instance == Instance::Another { 0 } else { FILE_FLAG_FIRST_PIPE_INSTANCE };
    // The flag alone decides, at the same instant, and is all that Windows needs; Wine 8 passes it over.
    if first != 0 && exists(name) {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody else has a pipe of this name"));
    }
    let most = if instance == Instance::Only { 1 } else { PIPE_UNLIMITED_INSTANCES };
    let attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
        lpSecurityDescriptor: descriptor.as_ptr(),
        bInheritHandle: 0,
    };
    // SAFETY: the name ends with zero, and attributes and descriptor outlive the call.
    let handle = unsafe {
        CreateNamedPipeW(
            wide(name).as_ptr(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | first,
            PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
            most,
            KEPT,
            KEPT,
            0,
            &raw const attributes,
        )
    };
    own(handle)
}

/// Whether there is a pipe of this name.
fn exists(name: &OsStr) -> bool {
    // SAFETY: the name ends with zero.
    let is_free = unsafe { WaitNamedPipeW(wide(name).as_ptr(), 1) } != 0;
    is_free || io::Error::last_os_error().kind() != io::ErrorKind::NotFound
}

/// Opens the client's end of a pipe, on which the server can know who this is, but not act as this user.
pub fn open(name: &OsStr, patience: Duration) -> io::Result<OwnedHandle> {
    let name = wide(pipe_name::whole(name)?);
    let until = Instant::now() + patience;
    loop {
        // SAFETY: the name ends with zero.
        let handle = unsafe {
            CreateFileW(
                name.as_ptr(),
                GENERIC_READ | FILE_WRITE_DATA | FILE_WRITE_ATTRIBUTES,
                0,
                ptr::null(),
                OPEN_EXISTING,
                FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION,
                ptr::null_mut(),
            )
        };
        match own(handle) {
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed()) => {}
            opened => return opened.and_then(read_messages),
        }
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // SAFETY: the name ends with zero.
        unsafe { WaitNamedPipeW(name.as_ptr(), RETRY_MS) };
    }
}

fn own(handle: RawHandle) -> io::Result<OwnedHandle> {
    if handle == INVALID_HANDLE_VALUE || handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new handle, which is ours.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Has a client's end deliver message by message: it begins as one of bytes.
fn read_messages(pipe: OwnedHandle) -> io::Result<OwnedHandle> {
    let mode = PIPE_READMODE_MESSAGE | PIPE_WAIT;
    // SAFETY: an open handle, and a mode that outlives the call.
    let is_set =
        unsafe { SetNamedPipeHandleState(pipe.as_raw_handle(), &raw const mode, ptr::null(), ptr::null()) };
    if is_set == 0 { Err(io::Error::last_os_error()) } else { Ok(pipe) }
}

/// Ends the connection of a server's end, which another client may then come to.
pub fn disconnect(end: BorrowedHandle<'_>) {
    // SAFETY: an open handle. Where nobody is connected, nothing happens.
    unsafe { DisconnectNamedPipe(end.as_raw_handle()) };
}

/// Whether programs that this one starts inherit the handle.
pub fn set_inherited(handle: BorrowedHandle<'_>, is_inherited: bool) -> io::Result<()> {
    let flag = if is_inherited { HANDLE_FLAG_INHERIT } else { 0 };
    // SAFETY: an open handle.
    let is_set = unsafe { SetHandleInformation(handle.as_raw_handle(), HANDLE_FLAG_INHERIT, flag) };
    if is_set == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// One end of a pipe.
#[derive(Debug)]
pub struct Pipe {
    handle: Arc<OwnedHandle>,
    reading: Operation,
    writing: Operation,
}

impl Pipe {
    /// Of a handle that was opened for overlapped operations.
    pub fn new(handle: OwnedHandle) -> io::Result<Self> {
        let handle = Arc::new(handle);
        let (reading, writing) = (Operation::new(&handle, MOST_BYTES)?, Operation::new(&handle, MOST_BYTES)?);
        Ok(Self { handle, reading, writing })
    }

    /// The process at the client's end, by the system's word.
    pub fn client(&self) -> io::Result<u32> {
        self.process(GetNamedPipeClientProcessId)
    }

    /// The process that has made the pipe, by the system's word.
    pub fn server(&self) -> io::Result<u32> {
        self.process(GetNamedPipeServerProcessId)
    }

    fn process(&self, call: unsafe extern "system" fn(RawHandle, *mut u32) -> i32) -> io::Result<u32> {
        let mut pid = 0;
        // SAFETY: both calls take an open pipe, and write a number there.
        if unsafe { call(self.handle.as_raw_handle(), &raw mut pid) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(pid)
    }

    /// Whether this user, an administrator or the system has made the pipe.
    pub fn is_trustworthy(&self) -> io::Result<bool> {
        security::is_trustworthy(self.handle.as_handle())
    }

    /// Begins to read the next message, if that has not begun.
    pub fn expect(&mut self) -> io::Result<()> {
        if self.reading.is_under_way() { Ok(()) } else { self.reading.read() }
    }

    /// What is set when the message has come, or the other side has gone.
    pub fn has_come(&self) -> BorrowedHandle<'_> {
        self.reading.finished()
    }

    /// The message that was expected; `None` while it has not come. One that is too long is an error.
    pub fn message(&mut self) -> io::Result<Option<&[u8]>> {
        self.reading.finish()
    }

    /// Reads the next message.
    pub fn receive(&mut self, patience: Duration) -> io::Result<&[u8]> {
        self.expect()?;
        self.reading.wait(patience)?;
        self.reading.finish()?.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    /// Writes a message.
    pub fn send(&mut self, message: &[u8], patience: Duration) -> io::Result<()> {
        self.writing.write(message)?;
        self.writing.wait(patience)?;
        self.writing.finish().map(|_| ())
    }
}

#[cfg(test)]
mod tests;
