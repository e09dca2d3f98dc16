//! A process that is being debugged, and what it is told of that.
//!
//! The system notes in the process environment block (PEB) that there is a debugger. Much goes by that: the heap checks itself
//! and is slow (the "debug heap", unless `_NO_DEBUG_HEAP` is set), the loader stops at a breakpoint, heap corruption stops at
//! another before it is reported, programs ask `IsDebuggerPresent` and then behave otherwise. A supervised program is to run
//! as it always does, so the note is taken away before any of its code runs, the loader's included. That the kernel sends
//! events to a debugger does not depend on it, and neither does `UnhandledExceptionFilter`, which asks the kernel whether there
//! is one before it ends the process itself. Wine sends exceptions to a debugger only where the note is, so there it stays.

use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::PathBuf;
use std::ptr::{from_mut, null_mut};
use std::sync::OnceLock;
use windows_sys::Wdk::System::Threading::{
    NtQueryInformationProcess, PROCESSINFOCLASS, ProcessBasicInformation, ProcessWow64Information,
};
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Diagnostics::Debug::{ReadProcessMemory, WriteProcessMemory};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::Memory::{MEMORY_BASIC_INFORMATION, VirtualQueryEx};
use windows_sys::Win32::System::Threading::{
    GetProcessMitigationPolicy, OpenProcess, PROCESS_BASIC_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION,
    ProcessStrictHandleCheckPolicy, QueryFullProcessImageNameW,
};

/// `PEB.BeingDebugged` (winternl.h), the same of both sizes.
const BEING_DEBUGGED: u64 = 2;
/// `PEB.CrossProcessFlags`, of a 64-bit and a 32-bit block (ntdll's symbols).
const FLAGS_64: u64 = 0x50;
const FLAGS_32: u64 = 0x28;
/// `ProcessInitializing` in these flags: the loader is at work.
const INITIALIZING: u8 = 1 << 1;
/// `RaiseExceptionOnInvalidHandleReference` of `PROCESS_MITIGATION_STRICT_HANDLE_CHECK_POLICY`.
const RAISE_ON_INVALID_HANDLE: u32 = 1;
/// Longest path, in UTF-16 units.
const MOST_PATH: usize = 32_768;

/// A process that is being debugged.
#[derive(Debug)]
pub struct Process {
    /// The system's, which closes it when the end of the process has been answered.
    handle: HANDLE,
    /// The block, and the second one of a 32-bit process on 64-bit Windows.
    peb: Option<u64>,
    peb_32: Option<u64>,
    /// The thread that it began with.
    pub first_thread: u32,
    /// It is not told of its debugger.
    pub is_hidden: bool,
    /// An exception is about to end it.
    pub is_dying: bool,
    /// A breakpoint of the native and of the 32-bit loader has been seen.
    seen: [bool; 2],
}

impl Process {
    /// The process of `handle`, which has just been made, and is not told of its debugger.
    pub fn hidden(handle: HANDLE, first_thread: u32) -> Self {
        let (peb, peb_32) = (native_block(handle), second_block(handle));
        let mut process =
            Self { handle, peb, peb_32, first_thread, is_hidden: false, is_dying: false, seen: [false; 2] };
        let blocks = [process.peb, process.peb_32];
        let take_away = |block: u64| process.write(block.saturating_add(BEING_DEBUGGED), 0);
        process.is_hidden =
            process.peb.is_some() && !is_wine() && blocks.into_iter().flatten().all(take_away);
        process
    }

    /// Whether a loader of it is at work, as far as the process says.
    pub fn is_loading(&self, is_32_bit: bool) -> bool {
        let at = match (is_32_bit, cfg!(target_pointer_width = "64")) {
            (true, true) => self.peb_32.map(|block| block.saturating_add(FLAGS_32)),
            (_, true) => self.peb.map(|block| block.saturating_add(FLAGS_64)),
            (_, false) => self.peb.map(|block| block.saturating_add(FLAGS_32)),
        };
        at.and_then(|at| self.read(at)).is_some_and(|flags| flags & INITIALIZING != 0)
    }

    /// Whether it is the first breakpoint of its kind; the next one is not.
    pub fn is_first_breakpoint(&mut self, is_32_bit: bool) -> bool {
        let [native, other] = &mut self.seen;
        !std::mem::replace(if is_32_bit { other } else { native }, true)
    }

    /// Whether the address is in ntdll.dll, whose functions make the system calls. It is in the same place in all
    /// processes.
    pub fn is_in_system_calls(&self, address: usize) -> bool {
        let mut found = MEMORY_BASIC_INFORMATION::default();
        // SAFETY: a handle that is open, an address that is only asked about, and a live structure of the size told.
        let told = unsafe {
            VirtualQueryEx(
                self.handle,
                std::ptr::without_provenance(address),
                from_mut(&mut found),
                size_of::<MEMORY_BASIC_INFORMATION>(),
            )
        };
        // SAFETY: a NUL-terminated name; ntdll.dll is never unloaded.
        let ntdll = unsafe { GetModuleHandleA(c"ntdll.dll".as_ptr().cast()) };
        told != 0 && !ntdll.is_null() && found.AllocationBase == ntdll
    }

    /// Whether it has asked for an exception at calls with a bad handle.
    pub fn is_strict_about_handles(&self) -> bool {
        let mut flags = 0_u32;
        // SAFETY: a handle that is open, and a live structure of one word, of the size told.
        let told = unsafe {
            GetProcessMitigationPolicy(
                self.handle,
                ProcessStrictHandleCheckPolicy,
                from_mut(&mut flags).cast(),
                size_of::<u32>(),
            )
        };
        told != 0 && flags & RAISE_ON_INVALID_HANDLE != 0
    }

    /// Its program.
    pub fn executable(&self) -> Option<PathBuf> {
        image_of(self.handle)
    }

    fn read(&self, address: u64) -> Option<u8> {
        let mut byte = 0_u8;
        let at = std::ptr::without_provenance(usize::try_from(address).ok()?);
        // SAFETY: a handle that is open, an address of the other process, and one live byte here.
        let done = unsafe { ReadProcessMemory(self.handle, at, from_mut(&mut byte).cast(), 1, null_mut()) };
        (done != 0).then_some(byte)
    }

    fn write(&self, address: u64, byte: u8) -> bool {
        let Ok(address) = usize::try_from(address) else { return false };
        let at = std::ptr::without_provenance(address);
        // SAFETY: a handle that is open, an address of the other process, and one live byte here.
        unsafe { WriteProcessMemory(self.handle, at, (&raw const byte).cast(), 1, null_mut()) != 0 }
    }
}

/// Whether this is Wine, whose ntdll.dll says so.
pub(super) fn is_wine() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    // SAFETY: two NUL-terminated names; ntdll.dll is never unloaded.
    *IS.get_or_init(|| unsafe {
        let ntdll = GetModuleHandleA(c"ntdll.dll".as_ptr().cast());
        GetProcAddress(ntdll, c"wine_get_version".as_ptr().cast()).is_some()
    })
}

/// The block of the size that the system itself has.
fn native_block(process: HANDLE) -> Option<u64> {
    let mut found = PROCESS_BASIC_INFORMATION::default();
    // SAFETY: the class that fills this structure, any bytes of which are valid.
    let told = unsafe { query(process, ProcessBasicInformation, &mut found) };
    told.then(|| found.PebBaseAddress.addr() as u64).filter(|block| *block != 0)
}

/// The 32-bit block of a 32-bit process on 64-bit Windows.
fn second_block(process: HANDLE) -> Option<u64> {
    let mut found = 0_usize;
    // SAFETY: the class that fills a word of the size of a pointer.
    let told = unsafe { query(process, ProcessWow64Information, &mut found) };
    told.then_some(found as u64).filter(|block| *block != 0)
}

/// Asks for one class of information. Whether there was an answer.
///
/// # Safety
/// `class` must be one that fills a `T`, and a `T` of any bytes must be valid.
unsafe fn query<T>(process: HANDLE, class: PROCESSINFOCLASS, into: &mut T) -> bool {
    let (size, mut told) = (u32::try_from(size_of::<T>()).unwrap_or(0), 0);
    // SAFETY: a handle that is open; the system writes at most `size` bytes, of a `T`.
    unsafe { NtQueryInformationProcess(process, class, from_mut(into).cast(), size, &raw mut told) >= 0 }
}

/// The path of the program that process `pid` runs; `None` when there is no such process or it may not be asked.
#[must_use]
pub fn executable_of(pid: u32) -> Option<PathBuf> {
    // SAFETY: plain numbers.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: the call has just made this handle, and nothing else owns it.
    let process = unsafe { OwnedHandle::from_raw_handle(handle) };
    image_of(process.as_raw_handle())
}

fn image_of(process: HANDLE) -> Option<PathBuf> {
    let mut path = vec![0_u16; MOST_PATH];
    let mut length = u32::try_from(path.len()).ok()?;
    // SAFETY: a handle that is open, and room for as many units as `length` says.
    if unsafe { QueryFullProcessImageNameW(process, 0, path.as_mut_ptr(), &raw mut length) } == 0 {
        return None;
    }
    let path = path.get(..usize::try_from(length).ok()?)?;
    Some(PathBuf::from(OsString::from_wide(path))).filter(|path| !path.as_os_str().is_empty())
}
