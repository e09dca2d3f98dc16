//! The system's dumper, `MiniDumpWriteDump` of dbghelp.dll.
//!
//! It is loaded when the first dump is asked for, from the system's folder and from nowhere else: programs start without it,
//! and no dbghelp.dll that somebody put beside a program is ever taken into it by this crate.

use super::errors::{FailedCall, Subject, of_hresult};
use super::minidump_type::MinidumpType;
use super::process::Process;
use super::streams::Stream;
use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle as _;
use windows_sys::Win32::Foundation::{FALSE, GetLastError, HANDLE};
use windows_sys::Win32::System::Diagnostics::Debug::{
    MINIDUMP_CALLBACK_INFORMATION, MINIDUMP_EXCEPTION_INFORMATION, MINIDUMP_TYPE, MINIDUMP_USER_STREAM,
    MINIDUMP_USER_STREAM_INFORMATION,
};
use windows_sys::Win32::System::LibraryLoader::{
    GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW,
};
use windows_sys::core::{BOOL, w};

/// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/nf-minidumpapiset-minidumpwritedump>.
type MiniDumpWriteDump = unsafe extern "system" fn(
    process: HANDLE,
    pid: u32,
    file: HANDLE,
    kind: MINIDUMP_TYPE,
    exception: *const MINIDUMP_EXCEPTION_INFORMATION,
    streams: *const MINIDUMP_USER_STREAM_INFORMATION,
    callback: *const MINIDUMP_CALLBACK_INFORMATION,
) -> BOOL;

/// The loaded library. It stays loaded.
pub struct DbgHelp {
    write_dump: MiniDumpWriteDump,
}

impl DbgHelp {
    /// Loads the library.
    pub fn load() -> io::Result<Self> {
        // SAFETY: the name ends with a zero. What runs in the library when it is loaded is the system's own.
        let library =
            unsafe { LoadLibraryExW(w!("dbghelp.dll"), std::ptr::null_mut(), LOAD_LIBRARY_SEARCH_SYSTEM32) };
        if library.is_null() {
            return Err(FailedCall::last("LoadLibraryExW", Subject::Library));
        }
        // SAFETY: the library is loaded, and the name ends with a zero.
        let Some(function) = (unsafe { GetProcAddress(library, c"MiniDumpWriteDump".as_ptr().cast()) })
        else {
            return Err(FailedCall::last("GetProcAddress(MiniDumpWriteDump)", Subject::Library));
        };
        // SAFETY: the function of that name has this signature.
        let write_dump = unsafe {
            std::mem::transmute::<unsafe extern "system" fn() -> isize, MiniDumpWriteDump>(function)
        };
        Ok(Self { write_dump })
    }

    /// Writes the dump from the beginning of `file` on. Allocates nothing before the system takes over.
    ///
    /// # Safety
    /// The pointers in `exception` are good until this returns, unless they are marked as the target's. No other thread is in
    /// dbghelp.
    pub unsafe fn write(
        &self,
        process: &Process,
        file: &File,
        kind: MinidumpType,
        exception: Option<&MINIDUMP_EXCEPTION_INFORMATION>,
        streams: &UserStreams<'_>,
    ) -> io::Result<()> {
        let streams = streams.information();
        // SAFETY: the handles are open, the streams are there as long as `streams` is, and the caller answers for the exception.
        let done = unsafe {
            (self.write_dump)(
                process.handle(),
                process.pid(),
                file.as_raw_handle(),
                kind.bits().cast_signed(),
                exception.map_or(std::ptr::null(), std::ptr::from_ref),
                &raw const streams,
                std::ptr::null(),
            )
        };
        if done == FALSE {
            // SAFETY: no preconditions.
            let code = unsafe { GetLastError() };
            let subject = Subject::Process(process.pid());
            return Err(FailedCall::because("MiniDumpWriteDump", subject, of_hresult(code)));
        }
        Ok(())
    }
}

/// Streams as `MiniDumpWriteDump` takes them.
pub struct UserStreams<'a> {
    array: Vec<MINIDUMP_USER_STREAM>,
    _streams: &'a [Stream],
}

impl<'a> UserStreams<'a> {
    /// Points at `streams`. Their sizes are known to fit.
    pub fn new(streams: &'a [Stream]) -> Self {
        let entry = |stream: &Stream| MINIDUMP_USER_STREAM {
            Type: stream.kind,
            BufferSize: u32::try_from(stream.bytes.len()).unwrap_or(0),
            // It is only read.
            Buffer: stream.bytes.as_ptr().cast_mut().cast(),
        };
        Self { array: streams.iter().map(entry).collect(), _streams: streams }
    }

    fn information(&self) -> MINIDUMP_USER_STREAM_INFORMATION {
        MINIDUMP_USER_STREAM_INFORMATION {
            UserStreamCount: u32::try_from(self.array.len()).unwrap_or(0),
            UserStreamArray: self.array.as_ptr().cast_mut(),
        }
    }
}
