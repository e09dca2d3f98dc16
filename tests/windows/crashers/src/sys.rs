//! Thin wrappers over the functions of Windows that the scenarios share.

use std::arch::asm;
use std::ffi::c_int;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE};
use windows_sys::Win32::System::Diagnostics::Debug::{
    SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode,
};
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE, PAGE_READWRITE, VirtualAlloc};
use windows_sys::Win32::System::Threading::{
    CreateEventW, GetCurrentProcess, GetCurrentThreadId, INFINITE, TerminateProcess, WaitForSingleObject,
};

pub use crate::patience::wait_until;

/// Size of a pointer, in bytes.
pub const POINTER: usize = size_of::<usize>();
/// Size of a page, in bytes.
pub const PAGE: usize = 4096;
/// An address where nothing is mapped.
#[cfg(target_pointer_width = "64")]
pub const NOWHERE: usize = 0x4141_4141_4000;
/// An address where nothing is mapped.
#[cfg(target_pointer_width = "32")]
pub const NOWHERE: usize = 0x4141_4000;

/// Standard input and output. The system looks them up in the process parameters, which may be overwritten later.
static INPUT: AtomicUsize = AtomicUsize::new(0);
static OUTPUT: AtomicUsize = AtomicUsize::new(0);

/// Has the system end this process without a window that asks somebody, and looks up what the conversation needs.
pub fn prepare() {
    for (name, place) in [(STD_INPUT_HANDLE, &INPUT), (STD_OUTPUT_HANDLE, &OUTPUT)] {
        // SAFETY: it takes a number.
        place.store(unsafe { GetStdHandle(name) }.expose_provenance(), Ordering::Release);
    }
    // SAFETY: it takes a number.
    unsafe { SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX) };
}

/// Ends the process without running any exit handler: the loader's lists may be corrupt by then.
pub fn exit_now(status: c_int) -> ! {
    loop {
        // SAFETY: the pseudo-handle is always valid.
        unsafe { TerminateProcess(GetCurrentProcess(), status.cast_unsigned()) };
    }
}

/// Id of the calling thread.
pub fn thread_id() -> u32 {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { GetCurrentThreadId() }
}

/// Address of the calling thread's environment block (TEB, winternl.h): its field `NtTib.Self`.
pub fn teb() -> usize {
    let teb;
    // SAFETY: the segment register points at the block, whose first fields are fixed.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("mov {0}, gs:[0x30]", out(reg) teb, options(nostack, readonly));
        #[cfg(target_arch = "x86")]
        asm!("mov {0}, fs:[0x18]", out(reg) teb, options(nostack, readonly));
    }
    teb
}

/// Address of the process environment block (PEB): the field `ProcessEnvironmentBlock` of the TEB.
pub fn peb() -> usize {
    // SAFETY: the field, 12 pointers into the block, holds a pointer.
    unsafe { ptr::read(ptr::with_exposed_provenance::<usize>(teb() + 12 * POINTER)) }
}

/// Names and values of the segment bases that a dump shall have of the calling thread.
#[cfg(target_arch = "x86_64")]
pub fn segment_bases() -> [(&'static str, u64); 1] {
    [("teb", teb() as u64)]
}

/// Writes `line` and a line feed to standard output in one call, past any buffer.
pub fn write_line(line: &str) {
    let bytes = format!("{line}\n").into_bytes();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let mut written = 0;
        let length = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        // SAFETY: the pointer and the length describe `rest`; the count is written to a local.
        let done =
            unsafe { WriteFile(handle(&OUTPUT), rest.as_ptr(), length, &raw mut written, ptr::null_mut()) };
        if done == 0 {
            exit_now(3);
        }
        rest = rest.split_at(written as usize).1;
    }
}

/// Reads one line from standard input byte by byte. `None` at the end of the input.
pub fn read_line() -> Option<String> {
    let mut line = Vec::new();
    loop {
        let (mut byte, mut count) = (0u8, 0);
        // SAFETY: one byte is read into `byte`.
        let done = unsafe { ReadFile(handle(&INPUT), &raw mut byte, 1, &raw mut count, ptr::null_mut()) };
        match (done, count, byte) {
            (0, ..) | (_, 0, _) => return None,
            (_, _, b'\n') => return String::from_utf8(line).ok(),
            _ => line.push(byte),
        }
    }
}

/// An event that nobody sets.
fn never() -> HANDLE {
    static EVENT: AtomicUsize = AtomicUsize::new(0);
    if EVENT.load(Ordering::Acquire) == 0 {
        // SAFETY: an event without name and with default rights; every pointer may be null.
        let event = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
        assert!(!event.is_null(), "CreateEventW: {}", io::Error::last_os_error());
        EVENT.store(event.expose_provenance(), Ordering::Release);
    }
    handle(&EVENT)
}

fn handle(place: &AtomicUsize) -> HANDLE {
    ptr::with_exposed_provenance_mut(place.load(Ordering::Acquire))
}

/// Sets `ready` to one and waits for ever, in the calling function.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the thread shall stand in the function that calls this")]
pub fn wait_for_ever(ready: &AtomicU32) {
    let event = never();
    ready.store(1, Ordering::Release);
    loop {
        // SAFETY: the event is never closed.
        unsafe { WaitForSingleObject(event, INFINITE) };
    }
}

/// `length` bytes of fresh private memory that can be read and written.
pub fn fresh_memory(length: usize) -> usize {
    // SAFETY: a new allocation at an address of the system's choice disturbs no existing memory.
    let address = unsafe { VirtualAlloc(ptr::null(), length, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE) };
    assert!(!address.is_null(), "VirtualAlloc({length}): {}", io::Error::last_os_error());
    address.expose_provenance()
}

/// A text for functions of Windows: UTF-16, ended by a zero.
pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Checks the result of a function that returns zero on failure.
pub fn check(what: &str, result: i32) {
    assert_ne!(result, 0, "{what}: {}", io::Error::last_os_error());
}
