//! The dump that a crashing process writes itself when no handler does, with dbghelp.
//!
//! dbghelp stands all other threads still and then allocates. So the two locks that one of those might hold are taken
//! first, the loader's and the heap's: that waits while the others still run, and can be given up.
#![expect(unsafe_code, reason = "calls of the system, of which two are looked up")]

use super::reporter::Crash;
use super::sys;
use crate::client::json::{Json, known};
use crate::exception_code;
use crate::store::{Metadata, Reserved};
use crate::windows::event::wait;
use crate::windows::wide;
use minidump_record::{Annotations, MAX_ANNOTATIONS, MAX_KEY, MAX_VALUE};
use std::cell::UnsafeCell;
use std::fmt::Write as _;
use std::io;
use std::mem::transmute;
use std::os::windows::io::{AsRawHandle as _, BorrowedHandle, RawHandle};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use windows_sys::Win32::Foundation::{HANDLE, HMODULE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_END_OF_FILE_INFO, FileEndOfFileInfo, MoveFileExW, SetFileInformationByHandle, WriteFile,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    CommentStreamA, MINIDUMP_CALLBACK_INFORMATION, MINIDUMP_EXCEPTION_INFORMATION, MINIDUMP_TYPE,
    MINIDUMP_USER_STREAM, MINIDUMP_USER_STREAM_INFORMATION, MiniDumpIgnoreInaccessibleMemory, MiniDumpNormal,
    MiniDumpWithThreadInfo, MiniDumpWithUnloadedModules,
};
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::LibraryLoader::{
    GetModuleHandleW, GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW,
};
use windows_sys::Win32::System::Memory::{GetProcessHeap, HeapLock, HeapUnlock};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// What the dump holds.
const CONTENTS: MINIDUMP_TYPE =
    MiniDumpNormal | MiniDumpWithUnloadedModules | MiniDumpWithThreadInfo | MiniDumpIgnoreInaccessibleMemory;
/// Bytes of the metadata that are written at most: those of the longest annotations, each byte of which may take six.
const MOST_METADATA: usize = 256 << 10;
/// Bytes of the comment: all annotations, each on a line.
const MOST_COMMENT: usize = MAX_ANNOTATIONS * (MAX_KEY + MAX_VALUE + 2) + 1;
/// How long a dump that is being written is waited for once time is over.
const GRACE: Duration = Duration::from_secs(60);

/// How far it has come.
const UNUSED: u8 = 0;
const TAKING_LOCKS: u8 = 1;
const WRITING: u8 = 2;
const GIVEN_UP: u8 = 3;

type WriteDump = unsafe extern "system" fn(
    HANDLE,
    u32,
    HANDLE,
    MINIDUMP_TYPE,
    *const MINIDUMP_EXCEPTION_INFORMATION,
    *const MINIDUMP_USER_STREAM_INFORMATION,
    *const MINIDUMP_CALLBACK_INFORMATION,
) -> i32;
type LockLoader = unsafe extern "system" fn(u32, *mut u32, *mut usize) -> i32;
type UnlockLoader = unsafe extern "system" fn(u32, usize) -> i32;

/// What was prepared. Nothing of it is on the heap.
#[derive(Debug)]
pub struct Fallback {
    write: WriteDump,
    loader: Option<(LockLoader, UnlockLoader)>,
    /// The files that were reserved, which stay open as long as the process lives.
    dump: usize,
    metadata: usize,
    /// Their paths, and where they are moved: the metadata first.
    moves: [[&'static [u16]; 2]; 2],
    phase: AtomicU8,
    /// The metadata as far as they are known ahead: a JSON object but for its last brace.
    known: &'static [u8],
}

/// Memory for the one report that a process writes itself.
struct Scratch<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

// SAFETY: only the thread that has moved the phase on from UNUSED uses it, which happens once.
unsafe impl<const SIZE: usize> Sync for Scratch<SIZE> {}

static METADATA: Scratch<MOST_METADATA> = Scratch(UnsafeCell::new([0; MOST_METADATA]));
static COMMENT: Scratch<MOST_COMMENT> = Scratch(UnsafeCell::new([0; MOST_COMMENT]));

impl Fallback {
    /// Prepares for the dump whose files were `reserved`. The caller keeps these open for ever.
    pub fn new(reserved: &Reserved, metadata: &Metadata) -> io::Result<Self> {
        let [dump, metadata_file] =
            [&reserved.dump, &reserved.metadata].map(|file| file.as_raw_handle().addr());
        let text =
            |path: &Path| -> io::Result<&'static [u16]> { Ok(Box::leak(wide(path).into_boxed_slice())) };
        let moves = reserved.moves();
        let [first, second] = [&moves[0], &moves[1]];
        Ok(Self {
            write: dbghelp()?,
            loader: loader_lock(),
            dump,
            metadata: metadata_file,
            moves: [[text(&first.0)?, text(&first.1)?], [text(&second.0)?, text(&second.1)?]],
            phase: AtomicU8::new(UNUSED),
            known: sys::place_bytes(known(metadata).as_bytes())?,
        })
    }

    /// Whether nothing was written, and nothing will be.
    pub fn give_up(&self) -> bool {
        self.phase.compare_exchange(UNUSED, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Time is over: a dump that has not begun is not written any more. One that has is waited for a little longer.
    pub fn give_up_waiting(&self, finished: BorrowedHandle<'_>) {
        let waits =
            self.phase.compare_exchange(TAKING_LOCKS, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !waits && self.phase.load(Ordering::Acquire) == WRITING {
            wait([finished], Some(GRACE));
        }
    }

    /// Writes the dump. Whether there is one now.
    pub fn record(&self, crash: &Crash, annotations: &Annotations) -> bool {
        let moved_on =
            |from, to| self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !moved_on(UNUSED, TAKING_LOCKS) {
            return false;
        }
        let locks = Locks::take(self.loader);
        if !moved_on(TAKING_LOCKS, WRITING) {
            return false;
        }
        // First, so that something is known should dbghelp not come back.
        self.describe(crash, annotations, true);
        let is_written = self.write(crash, annotations);
        drop(locks);
        if is_written {
            self.describe(crash, annotations, false);
            self.publish();
        }
        is_written
    }

    fn write(&self, crash: &Crash, annotations: &Annotations) -> bool {
        let pointers = usize::try_from(crash.exception.pointers).unwrap_or(0);
        let exception = MINIDUMP_EXCEPTION_INFORMATION {
            ThreadId: crash.thread,
            ExceptionPointers: ptr::with_exposed_provenance_mut(pointers),
            ClientPointers: 0,
        };
        // SAFETY: the phase is WRITING, which it was not before and will stay.
        let comment = comment(unsafe { &mut *COMMENT.0.get() }, annotations);
        let mut stream = MINIDUMP_USER_STREAM {
            Type: CommentStreamA.cast_unsigned(),
            BufferSize: u32::try_from(comment.len()).unwrap_or(0),
            Buffer: comment.as_ptr().cast_mut().cast(),
        };
        let streams =
            MINIDUMP_USER_STREAM_INFORMATION { UserStreamCount: 1, UserStreamArray: &raw mut stream };
        // SAFETY: the function has this type (minidumpapiset.h). All that it is given outlives the call: the pointers are
        // those that the system gave to the thread that crashed and waits.
        unsafe {
            (self.write)(
                GetCurrentProcess(),
                std::process::id(),
                handle(self.dump),
                CONTENTS,
                if pointers == 0 { ptr::null() } else { &raw const exception },
                &raw const streams,
                ptr::null(),
            ) != 0
        }
    }

    /// Writes the metadata. What cannot be written is left as it was.
    fn describe(&self, crash: &Crash, annotations: &Annotations, is_partial: bool) {
        // SAFETY: as in `write`; the reference ends with this function.
        let mut json = Json::new(unsafe { &mut *METADATA.0.get() });
        json.raw(std::str::from_utf8(self.known).unwrap_or("{\"version\":1"));
        let code = crash.exception.code;
        let _ = write!(
            json,
            r#","when_us":{},"pid":{},"tid":{},"partial":{is_partial},"reason":"#,
            sys::now_us(),
            std::process::id(),
            crash.thread,
        );
        let _ = match exception_code::name(code) {
            Some(name) => write!(json, r#""{name}","annotations":{{"#),
            None => write!(json, r#""exception {code:#x}","annotations":{{"#),
        };
        json.annotations(annotations);
        json.raw("}}\n");
        if let Some(text) = json.finish() {
            overwrite(handle(self.metadata), text);
        }
    }

    /// Moves both files to `pending`. What fails, the next sweep does.
    fn publish(&self) {
        for [from, to] in self.moves {
            // SAFETY: both end with zero.
            if unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) } == 0 {
                return;
            }
        }
    }
}

/// The annotations as text for debuggers: `KEY=VALUE`, each on a line, and a zero.
fn comment<'b>(buffer: &'b mut [u8], annotations: &Annotations) -> &'b [u8] {
    let mut length = 0_usize;
    annotations.for_each(|key, value| {
        let bytes = key.iter().chain(b"=").chain(value).chain(b"\n");
        let room = buffer.iter_mut().skip(length);
        length = length.saturating_add(room.zip(bytes).map(|(to, from)| *to = *from).count());
    });
    buffer.get(..=length).unwrap_or(&[])
}

/// Writes over what a file holds.
fn overwrite(file: HANDLE, text: &[u8]) {
    let Ok(length) = u32::try_from(text.len()) else { return };
    let mut written = 0;
    // An offset of zero.
    let mut place = OVERLAPPED::default();
    let end = FILE_END_OF_FILE_INFO { EndOfFile: i64::from(length) };
    let size = u32::try_from(size_of::<FILE_END_OF_FILE_INFO>()).unwrap_or(0);
    // SAFETY: a file that was opened without FILE_FLAG_OVERLAPPED, so that both calls are done when they return; text and
    // description have the lengths that are told.
    unsafe {
        if WriteFile(file, text.as_ptr(), length, &raw mut written, &raw mut place) != 0 && written == length
        {
            SetFileInformationByHandle(file, FileEndOfFileInfo, (&raw const end).cast(), size);
        }
    }
}

fn handle(number: usize) -> RawHandle {
    ptr::with_exposed_provenance_mut(number)
}

/// The loader's lock and the heap's, which belong to the thread that has taken them: it may load and allocate.
struct Locks {
    loader: Option<(UnlockLoader, usize)>,
    heap: HANDLE,
}

impl Locks {
    fn take(loader: Option<(LockLoader, UnlockLoader)>) -> Self {
        let taken = loader.and_then(|(lock, unlock)| {
            let (mut disposition, mut cookie) = (0, 0);
            // SAFETY: the function has this type (Wine's and ReactOS's ntdll.h); places for two numbers.
            let status = unsafe { lock(0, &raw mut disposition, &raw mut cookie) };
            (status >= 0).then_some((unlock, cookie))
        });
        // SAFETY: the process's own heap, which is there as long as the process.
        let heap = unsafe { GetProcessHeap() };
        // SAFETY: as above.
        let is_locked = unsafe { HeapLock(heap) } != 0;
        Self { loader: taken, heap: if is_locked { heap } else { ptr::null_mut() } }
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        // SAFETY: what this thread has taken, and gives back once.
        unsafe {
            if !self.heap.is_null() {
                HeapUnlock(self.heap);
            }
            if let Some((unlock, cookie)) = self.loader {
                unlock(0, cookie);
            }
        }
    }
}

/// MiniDumpWriteDump of the system's own dbghelp.
fn dbghelp() -> io::Result<WriteDump> {
    // SAFETY: the name ends with zero. The library stays loaded.
    let library = unsafe {
        LoadLibraryExW(wide("dbghelp.dll").as_ptr(), ptr::null_mut(), LOAD_LIBRARY_SEARCH_SYSTEM32)
    };
    let found = find(library, c"MiniDumpWriteDump").ok_or_else(io::Error::last_os_error)?;
    // SAFETY: this is its type (minidumpapiset.h).
    Ok(unsafe { transmute::<unsafe extern "system" fn() -> isize, WriteDump>(found) })
}

fn loader_lock() -> Option<(LockLoader, UnlockLoader)> {
    // SAFETY: the name ends with zero; ntdll is always loaded.
    let library = unsafe { GetModuleHandleW(wide("ntdll.dll").as_ptr()) };
    let (lock, unlock) = (find(library, c"LdrLockLoaderLock")?, find(library, c"LdrUnlockLoaderLock")?);
    // SAFETY: these are their types, as Wine and ReactOS declare them.
    unsafe {
        Some((
            transmute::<unsafe extern "system" fn() -> isize, LockLoader>(lock),
            transmute::<unsafe extern "system" fn() -> isize, UnlockLoader>(unlock),
        ))
    }
}

fn find(library: HMODULE, name: &std::ffi::CStr) -> Option<unsafe extern "system" fn() -> isize> {
    if library.is_null() {
        return None;
    }
    // SAFETY: a library that is loaded, and a name that ends with zero.
    unsafe { GetProcAddress(library, name.as_ptr().cast()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_become_lines_that_end_with_zero() {
        let annotations = Annotations::new();
        annotations.set("channel", "beta").unwrap();
        annotations.set("empty", "").unwrap();
        let mut buffer = vec![0; MOST_COMMENT];
        assert_eq!(comment(&mut buffer, &annotations), b"channel=beta\nempty=\n\0");
        assert_eq!(comment(&mut [0; 4], &annotations), b"", "no room for the end");
    }

    #[test]
    fn dbghelp_and_the_locks_are_there() {
        assert!(dbghelp().is_ok());
        let locks = Locks::take(loader_lock());
        assert!(locks.loader.is_some() && !locks.heap.is_null());
        // The thread that has them can go on allocating.
        drop(vec![0_u8; 4096]);
        drop(locks);
    }
}
