//! One read, write or connection of a pipe that is under way, with memory of its own.
#![expect(unsafe_code, reason = "memory that the system writes to while this program goes on")]

use super::event::{Event, Waited, wait};
use std::io;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::sync::Arc;
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_IO_PENDING, ERROR_PIPE_CONNECTED, GetLastError, HANDLE,
};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::ConnectNamedPipe;

/// A buffer and what the system needs to fill or empty it while the program goes on. Nobody looks at either while an
/// operation is under way.
#[derive(Debug)]
pub struct Operation {
    pipe: Arc<OwnedHandle>,
    finished: Event,
    overlapped: *mut OVERLAPPED,
    buffer: *mut [u8],
    is_under_way: bool,
}

// SAFETY: the memory that the pointers lead to is owned, and used through `&mut self` alone.
unsafe impl Send for Operation {}

impl Operation {
    /// One that has not begun, with room for `size` bytes.
    pub fn new(pipe: &Arc<OwnedHandle>, size: usize) -> io::Result<Self> {
        let finished = Event::new()?;
        Ok(Self {
            pipe: Arc::clone(pipe),
            finished,
            overlapped: Box::into_raw(Box::default()),
            buffer: Box::into_raw(vec![0; size].into_boxed_slice()),
            is_under_way: false,
        })
    }

    /// What is set when the operation has ended.
    pub fn finished(&self) -> BorrowedHandle<'_> {
        self.finished.as_handle()
    }

    /// Whether one is under way.
    pub fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// Begins to read.
    pub fn read(&mut self) -> io::Result<()> {
        let buffer = self.buffer;
        let size = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        // SAFETY: the buffer has that size, or more. It and the description stay where they are until the operation has
        // ended, which `finish` and `drop` wait for.
        self.begin(|pipe, overlapped| unsafe {
            ReadFile(pipe, buffer.cast(), size, std::ptr::null_mut(), overlapped)
        })
    }

    /// Begins to write.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_under_way || bytes.len() > self.buffer.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: nothing is under way, so the buffer is this thread's alone, and has room for them.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.buffer.cast::<u8>(), bytes.len()) };
        let buffer = self.buffer;
        let size = u32::try_from(bytes.len()).unwrap_or(0);
        // SAFETY: as in `read`.
        self.begin(|pipe, overlapped| unsafe {
            WriteFile(pipe, buffer.cast(), size, std::ptr::null_mut(), overlapped)
        })
    }

    /// Begins to wait for a client.
    pub fn connect(&mut self) -> io::Result<()> {
        // SAFETY: as in `read`.
        self.begin(|pipe, overlapped| unsafe { ConnectNamedPipe(pipe, overlapped) })
    }

    fn begin(&mut self, call: impl FnOnce(HANDLE, *mut OVERLAPPED) -> i32) -> io::Result<()> {
        if self.is_under_way {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        // SAFETY: ours, and nothing is under way.
        unsafe {
            *self.overlapped =
                OVERLAPPED { hEvent: self.finished.as_handle().as_raw_handle(), ..OVERLAPPED::default() };
        }
        // A call that is done at once sets the event, too.
        if call(self.pipe.as_raw_handle(), self.overlapped) == 0 {
            // SAFETY: it touches nothing.
            match unsafe { GetLastError() } {
                ERROR_IO_PENDING => {}
                // There was a client already: nothing is under way, and nothing sets the event.
                ERROR_PIPE_CONNECTED => {
                    self.finished.set();
                    return Ok(());
                }
                error => return Err(io::Error::from_raw_os_error(error.cast_signed())),
            }
        }
        self.is_under_way = true;
        Ok(())
    }

    /// What has come of the operation: bytes that were read or written. `None` while it is under way.
    pub fn finish(&mut self) -> io::Result<Option<&[u8]>> {
        if self.is_under_way && wait([self.finished()], Some(Duration::ZERO)) == Waited::TooLong {
            return Ok(None);
        }
        let count = if self.is_under_way { self.result()? } else { 0 };
        // SAFETY: nothing is under way, and the borrow of `self` keeps it so.
        let buffer = unsafe { &*self.buffer };
        Ok(Some(buffer.get(..count).unwrap_or(&[])))
    }

    /// Waits for the end of the operation, which is near, and tells how many bytes it moved.
    fn result(&mut self) -> io::Result<usize> {
        let mut count = 0;
        // SAFETY: the description of the operation that was begun with this pipe.
        let is_done =
            unsafe { GetOverlappedResult(self.pipe.as_raw_handle(), self.overlapped, &raw mut count, 1) }
                != 0;
        let error = io::Error::last_os_error();
        self.is_under_way = false;
        // That an event is set is of no meaning without an operation.
        self.finished.reset();
        if is_done { Ok(usize::try_from(count).unwrap_or(0)) } else { Err(error) }
    }

    /// Ends an operation that is under way. The system then no longer touches its memory.
    pub fn cancel(&mut self) {
        if self.is_under_way {
            // SAFETY: the description of the operation that was begun with this pipe. It fails where the operation has
            // ended already.
            unsafe { CancelIoEx(self.pipe.as_raw_handle(), self.overlapped) };
            // A cancelled operation ends with an error, which is none here.
            let _ = self.result();
        }
    }

    /// Waits for the end, no longer than `patience`; then the operation is given up.
    pub fn wait(&mut self, patience: Duration) -> io::Result<()> {
        if self.is_under_way && wait([self.finished()], Some(patience)) != Waited::For(0) {
            self.cancel();
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.cancel();
        // SAFETY: both were made by `Box::into_raw`, nothing is under way, and nobody uses them any more.
        unsafe {
            drop(Box::from_raw(self.overlapped));
            drop(Box::from_raw(self.buffer));
        }
    }
}

/// Whether the other side has gone, as far as an error tells.
pub fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(ERROR_BROKEN_PIPE.cast_signed())
}
